package edge

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey/latchkey/shared/meter"
	"github.com/latchkey/latchkey/shared/wire"
)

// reportUses hands on what keys were used for: it is a meter.Sink. A control
// plane that is too old to hear of it has no such call: then the uses are
// dropped, for nobody wants them.
func (e *Edge) reportUses(ctx context.Context, uses []meter.Use) ([]meter.Use, error) {
	err := e.source.client.tell(ctx, wire.UsagePath, wire.NewUsage(uses))
	e.counts.call(callUsage, err)
	if status, answered := errors.AsType[statusError](err); answered && status == http.StatusNotFound {
		return nil, nil
	}
	return nil, err
}
