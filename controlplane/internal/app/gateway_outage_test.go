package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// lost is the silence after which a feed counts as lost.
const lost = 3 * time.Second

// admittedUntil asks until a key that is cached gets 503, and fails if it was
// admitted by a request that was sent after a moment, or if never says so of
// another answer meanwhile.
func (g *gateway) admittedUntil(key string, end time.Time, never func()) (refused time.Time) {
	g.t.Helper()
	eventually(g.t, g.name+" refuses by itself", func() bool {
		never()
		sent := time.Now()
		out := g.ask(key)
		if out.Allowed && sent.After(end) {
			g.t.Errorf("%s admitted a key %v after its time", g.name, sent.Sub(end))
		}
		if !out.Allowed && (out.Status != 503 || code(out) != "UNDECIDED" || out.Headers.Get("Retry-After") == "") {
			g.t.Fatalf("%s: %d %s", g.name, out.Status, out.Body)
		}
		refused = time.Now()
		return !out.Allowed
	})
	return refused
}

// address is where a replica listens, as a setting for the one that takes its
// place.
func (r *replica) address() string { return "LATCHKEY_LISTEN=" + strings.TrimPrefix(r.url, "http://") }

// The control plane is stopped: cached keys pass within the budget and no
// longer, unknown ones never; back at its address the feed goes on where it was,
// or begins anew where the log does not reach back that far.
func TestGatewayWhileTheControlPlaneIsAway(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	elsewhere := f.also(start(t, f.dsn)) // where operators go on working
	const budget = 4 * time.Second
	g := gatewayOf(t, "gateway", f.token, []string{f.url}, "LATCHKEY_MAX_STALE="+budget.String())
	cached, _ := f.issue(nil)
	doomed, doomedID := f.issue(nil)
	flipped, flippedID := f.issue(nil)
	cold, _ := f.issue(nil)
	g.caches(cached, doomed, flipped)
	before := g.changes()

	stopping := time.Now()
	f.stop()
	end := time.Now().Add(budget)
	elsewhere.act(doomedID, "revoke")
	elsewhere.act(flippedID, "disable")
	elsewhere.act(flippedID, "enable")
	refused := g.admittedUntil(cached, end, func() {
		g.expect(cold, "UNDECIDED")
		g.expect("no key", "MALFORMED")
	})
	if held := refused.Sub(stopping); held < budget-2*time.Second { // heads come each second
		t.Errorf("a cached key was refused after %v of a budget of %v", held, budget)
	}
	g.expect(doomed, "UNDECIDED")

	back := start(t, f.dsn, f.address())
	g.becomes(cached, "VALID")
	g.refuses(doomed, "REVOKED")
	g.becomes(cold, "VALID")
	eventually(t, "the feed goes on", func() bool { return g.changes()-before == 3 })
	g.caches(flipped)
	if g.resets() != 1 || g.outOfOrder() != 0 {
		t.Errorf("%v resets, %v out of order: it did not resume", g.resets(), g.outOfOrder())
	}

	back.stop()
	_, another := elsewhere.issue(nil)
	elsewhere.act(another, "disable")
	elsewhere.act(flippedID, "revoke")
	elsewhere.sql("DELETE FROM changes")
	elsewhere.sql("UPDATE journal_head SET low = number")
	start(t, f.dsn, f.address())
	eventually(t, "the feed begins anew", func() bool { return g.resets() == 2 })
	g.refuses(flipped, "REVOKED")
	g.becomes(cached, "VALID")
}

// also is another replica of the same installation.
func (f *front) also(r *replica) *front {
	return &front{replica: r, dsn: f.dsn, admin: f.admin, token: f.token}
}

// Clients do not notice that replicas are restarted one after the other.
func TestGatewayWhileReplicasRestart(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	other := start(t, f.dsn)
	g := gatewayOf(t, "gateway", f.token, []string{f.url, other.url})
	key, _ := f.issue(nil)
	g.caches(key)
	for _, r := range []*replica{f.replica, other} {
		r.stop()
		g.expect(key, "VALID")
		back := f.also(start(t, f.dsn, r.address()))
		g.expect(key, "VALID")
		fresh, id := back.issue(nil)
		g.becomes(fresh, "VALID")
		back.act(id, "revoke")
		g.becomes(fresh, "REVOKED")
		g.expect(key, "VALID")
	}
	if g.resets() != 1 || g.outOfOrder() != 0 {
		t.Errorf("%v resets, %v out of order", g.resets(), g.outOfOrder())
	}
}

// A feed that stays open and falls silent is lost after three seconds: without a
// budget nothing is admitted then, with one it is looked for anew.
func TestGatewayWhoseFeedStalls(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	network := newBetween(t, f.url)
	strict := gatewayOf(t, "without a budget", f.token, []string{network.url}, "LATCHKEY_MAX_STALE=0s")
	lenient := gatewayOf(t, "with a budget", f.token, []string{network.url})
	key, _ := f.issue(nil)
	doomed, id := f.issue(nil)
	cold, _ := f.issue(nil)
	for _, g := range []*gateway{strict, lenient} {
		g.caches(key, doomed)
	}
	network.becomes(stalls)
	stalled := time.Now()
	receipt := f.act(id, "revoke?wait=edges&timeout_ms=100")
	if pending, _ := receipt.get("receipt", "pending").([]any); len(pending) != 2 {
		t.Errorf("pending: %s", receipt.raw)
	}
	strict.admittedUntil(key, stalled.Add(lost), func() { strict.expect(cold, "UNDECIDED") })
	eventually(t, "the silence is noticed", func() bool { return strict.lost() > 0 && lenient.lost() > 0 })
	strict.expect(doomed, "UNDECIDED")
	lenient.expect(key, "VALID")
	lenient.expect(cold, "UNDECIDED")
	network.becomes(everything)
	for _, g := range []*gateway{strict, lenient} {
		g.becomes(key, "VALID")
		g.becomes(doomed, "REVOKED")
		eventually(t, g.name+" follows", func() bool { return g.figure("latchkey_edge_feed_connected") == 1 })
		if g.resets() != 1 {
			t.Errorf("%s: %v resets: it did not resume", g.name, g.resets())
		}
	}
}

// A replica that lost its PostgreSQL tells gateways nothing, which counts as a
// lost feed; what it cannot decide both doors refuse alike.
func TestGatewayWhoseReplicaLostItsDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	f := frontOf(start(t, server.DSN()), server.DSN())
	strict := gatewayOf(t, "without a budget", f.token, []string{f.url}, "LATCHKEY_MAX_STALE=0s")
	lenient := gatewayOf(t, "with a budget", f.token, []string{f.url})
	key, _ := f.issue(nil)
	cold, _ := f.issue(nil)
	strict.caches(key)
	lenient.caches(key)
	server.Kill()
	killed := time.Now()
	// A head is told within a second of being read.
	strict.admittedUntil(key, killed.Add(lost+time.Second), func() { strict.expect(cold, "UNDECIDED") })
	eventually(t, "the silence is noticed", func() bool { return lenient.lost() > 0 })
	lenient.expect(key, "VALID")
	door := f.auth(cold)
	f.expect(door, 503, "UNDECIDED")
	sameRefusal(t, answered(lenient.ask(cold)), door)

	server.Start()
	for _, g := range []*gateway{strict, lenient} {
		g.becomes(key, "VALID")
		g.becomes(cold, "VALID")
		if g.resets() != 1 {
			t.Errorf("%s: %v resets: it did not resume", g.name, g.resets())
		}
	}
}

// A backup was restored: numbers mean something else now, so gateways forget
// everything, what the backup undid included.
func TestGatewayAfterABackupWasRestored(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	g := gatewayOf(t, "gateway", f.token, []string{f.url})
	stays, _ := f.issue(nil)
	gone, id := f.issue(nil)
	g.caches(stays, gone)
	f.sql("UPDATE keys SET revoked_at = now() WHERE id = '%s'", uuidOf(id)) // no change tells of it
	g.expect(gone, "VALID")
	f.sql("UPDATE journal_head SET system = 'another'")
	f.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%%journal_head%%' AND pid <> pg_backend_pid()")
	eventually(t, "everything is forgotten", func() bool { return g.resets() == 2 })
	g.refuses(gone, "REVOKED")
	g.becomes(stays, "VALID")
}
