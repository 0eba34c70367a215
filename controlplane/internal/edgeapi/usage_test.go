package edgeapi_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/meter"
	"github.com/latchkey/latchkey/shared/wire"
)

// What gateways tell of a key becomes one use, the latest; a gateway whose clock
// is ahead cannot tell of the future.
func TestUsageOfManyGatewaysBecomesOne(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t), "127.0.0.1:0")
	token := r.token(t, access.EdgeConnect).Secret.Reveal()
	now := time.Now().UTC()
	tell := func(key string, at time.Time, from int) {
		body := fmt.Sprintf(`{"uses":[{"key_id":%q,"last_used_at":%q,"last_used_ip":"192.0.2.%d"}]}`, key, at.Format(time.RFC3339Nano), from)
		r.call(t, "POST", wire.UsagePath, token, body, nil)
	}
	tell("key_1", now.Add(-2*time.Minute), 1)
	tell("key_1", now.Add(-time.Minute), 2)
	tell("key_1", now.Add(-3*time.Minute), 3)
	tell("key_2", now.Add(time.Hour), 4)

	told := map[string]string{}
	ended, end := context.WithCancel(t.Context())
	end()
	r.meter.Run(ended, func(_ context.Context, uses []meter.Use) ([]meter.Use, error) {
		for _, u := range uses {
			told[u.KeyID] = u.IP.String()
			if late := time.Now(); u.At.After(late) || u.KeyID == "key_2" && u.At.Before(now) {
				t.Errorf("%s was used at %v, and it is %v", u.KeyID, u.At, late)
			}
		}
		return nil, nil
	}, nil)
	if diff := cmp.Diff(map[string]string{"key_1": "192.0.2.2", "key_2": "192.0.2.4"}, told); diff != "" {
		t.Error(diff)
	}
}
