package edgeapi_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

type receipt struct {
	Change, Connected, Confirmed int
	Pending                      []struct {
		Gateway    string
		LastSeenAt time.Time `json:"last_seen_at"`
		RefusesBy  time.Time `json:"refuses_by"`
	}
	ElapsedMS int `json:"elapsed_ms"`
}

type revocation struct {
	Key     struct{ ID, Status string }
	Receipt receipt
}

// world is two replicas over one database, with three gateways: two on the
// first, one on the second.
type world struct {
	dsn      string
	replicas [2]*replica
	gateways [3]*gateway
	admin    string // a management key that may do everything
	token    keys.Issued
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{dsn: pgtest.DSN(t)}
	for i := range w.replicas {
		w.replicas[i] = start(t, w.dsn, "127.0.0.1:0")
	}
	w.admin = w.replicas[0].token(t, access.All).Secret.Reveal()
	w.token = w.replicas[0].token(t, access.EdgeConnect)
	for i := range w.gateways {
		r := w.replicas[i/2]
		w.gateways[i] = connect(t, fmt.Sprint("gateway ", i), w.token.Secret.Reveal(), time.Minute, r.addr, w.replicas[1-i/2].addr)
	}
	return w
}

func TestARevocationIsConfirmedByEveryGatewayOnEveryReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.replicas[0].issue(t)
	for _, g := range w.gateways {
		g.cached(t, k)
	}
	var got revocation
	w.replicas[1].call(t, http.MethodPost, "/api/v1/keys/"+k.Key.ID.String()+"/revoke?wait=edges&timeout_ms=10000", w.admin, "", &got)
	for i, g := range w.gateways { // at once: the receipt is the proof
		if code := g.judge(t, k); code != apikey.Revoked {
			t.Errorf("gateway %d answers %s after the receipt", i, code)
		}
	}
	r := got.Receipt
	if got.Key.ID != k.Key.ID.String() || got.Key.Status != "revoked" || r.Connected != 3 || r.Confirmed != 3 || len(r.Pending) != 0 || r.Change == 0 {
		t.Errorf("receipt: %+v", got)
	}
	var plain struct{ ID, Status string }
	w.replicas[0].call(t, http.MethodPost, "/api/v1/keys/"+k.Key.ID.String()+"/revoke", w.admin, "", &plain)
	if plain.ID != k.Key.ID.String() || plain.Status != "revoked" {
		t.Errorf("without waiting the answer is not the key: %+v", plain)
	}
}

func TestEveryChangeComesOnceAndInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.replicas[0].issue(t)
	before := w.gateways[0].count(t, "changes_total", "")
	const rounds = 20
	for range rounds {
		must[keys.Key](t)(w.replicas[0].keys.Disable(t.Context(), access.CLI("test"), k.Key.ID))
		must[keys.Key](t)(w.replicas[1].keys.Enable(t.Context(), access.CLI("test"), k.Key.ID))
	}
	must[keys.Key](t)(w.replicas[1].keys.Disable(t.Context(), access.CLI("test"), k.Key.ID))
	got := must[gateways.Receipt](t)(w.replicas[0].gates.Confirm(t.Context(), k.Key.ID.String(), 10*time.Second))
	if got.Confirmed != 3 || len(got.Pending) != 0 {
		t.Fatalf("receipt: %+v", got)
	}
	for i, g := range w.gateways {
		// An edge that is told a number twice or out of order drops its place.
		if n := g.count(t, "changes_total", "") - before; n != 2*rounds+1 {
			t.Errorf("gateway %d heard %v changes of %d", i, n, 2*rounds+1)
		}
		if n := g.count(t, "feed_ends_total", "history"); n != 0 {
			t.Errorf("gateway %d was told out of order", i)
		}
		if code := g.judge(t, k); code != apikey.Disabled {
			t.Errorf("gateway %d answers %s", i, code)
		}
	}
}
