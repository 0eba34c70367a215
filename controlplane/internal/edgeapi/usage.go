package edgeapi

import (
	"net/http"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/meter"
	"github.com/latchkey/latchkey/shared/wire"
)

// usage takes in what keys were used for at a gateway. It goes to this replica's
// own meter, where reports of many gateways about one key become one: how much is
// written does not depend on how many gateways there are.
func (e *edgeAPI) usage(w http.ResponseWriter, r *http.Request, _ apikey.Token) error {
	var told wire.Usage
	if err := read(w, r, &told); err != nil {
		return err
	}
	if n := len(told.Uses); n > wire.MaxUses {
		return fault.New(fault.Invalid, "uses holds %d, want at most %d", n, wire.MaxUses)
	}
	for _, u := range told.Uses {
		if len(u.KeyID) <= maxKeyID {
			e.Meter.Add(meter.Use{KeyID: u.KeyID, At: u.LastUsedAt, IP: u.LastUsedIP})
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// maxKeyID is longer than the id of any key, in bytes: what is longer is none.
const maxKeyID = 64
