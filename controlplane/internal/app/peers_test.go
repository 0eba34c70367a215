package app_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// acquainted waits until two replicas have heard of each other.
func acquainted(t *testing.T, replicas ...*replica) {
	t.Helper()
	for _, r := range replicas {
		eventually(t, "a replica hears of the other", func() bool { return strings.Contains(metrics(t, r), "latchkey_replicas_others 1\n") })
	}
}

// Whoever was answered that something was taken away is refused by the very
// next request, whichever replica it reaches: fifty times each way.
func TestWhatIsTakenAwayIsTakenAwayEverywhere(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	one, two := start(t, dsn), start(t, dsn)
	admin := one.admin()
	acquainted(t, one, two)
	for i := range 50 {
		here, there := one, two
		if i%2 == 1 {
			here, there = two, one
		}
		k := here.call(admin, "POST", "/api/v1/keys", m{"name": "k"}, 201)
		there.expect(there.auth(k.text("secret")), 200, "VALID")
		here.call(admin, "POST", "/api/v1/keys/"+k.text("key", "id")+"/revoke", nil, 200)
		for _, r := range []*replica{there, here} {
			// Undecided, where a busy machine's look-up takes too long, lets nobody in.
			if a := r.auth(k.text("secret")); a.code() != "REVOKED" && a.code() != "UNDECIDED" {
				t.Errorf("revoke %d: %d %s", i, a.status, a.raw)
			}
		}
	}
}

// A replica that is gone, with a goodbye or without, does not hold a revoke up
// for longer than it is waited for.
func TestAReplicaThatIsGoneHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	one, two := start(t, dsn), start(t, dsn)
	admin := one.admin()
	two.stop()
	revoke := func() time.Duration {
		k := one.call(admin, "POST", "/api/v1/keys", m{"name": "k"}, 201)
		began := time.Now()
		one.call(admin, "POST", "/api/v1/keys/"+k.text("key", "id")+"/revoke", nil, 200)
		took := time.Since(began)
		if a := one.auth(k.text("secret")); a.code() != "REVOKED" && a.code() != "UNDECIDED" {
			t.Errorf("%d %s", a.status, a.raw)
		}
		return took
	}
	revoke()
	// A stranger that says it is at number 1 and then says nothing more: waited
	// for, in vain, until it is lost; each time the revoke is answered all the same.
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "SELECT pg_notify('latchkey_replicas', 'stranger epoch 1')"); err != nil {
		t.Fatal(err)
	}
	waited := false
	eventually(t, "the stranger was waited for, and is not any more", func() bool {
		took := revoke()
		waited = waited || took >= 250*time.Millisecond
		return waited && took < 250*time.Millisecond
	})
}
