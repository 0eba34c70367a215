package app_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// ends ends the gateway's process in order, and starts the next.
func (g *gateway) ends() {
	g.t.Helper()
	pid := g.Pid()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, g.name+" ends", func() bool { return syscall.Kill(pid, 0) != nil })
	g.restarts()
}

// restarts kills the gateway's process and starts the next. Kong repeats its
// first request to that one, which does not know the route yet.
func (g *gateway) restarts() {
	g.t.Helper()
	g.Respawn()
	eventually(g.t, g.name+" answers again", func() bool {
		out, err := g.open.Access(g.t.Context(), kongtest.Request{Headers: shows("X-API-Key", "no key")})
		return err == nil && out.Err == nil && out.Replays == 0
	})
}

// saves waits until the process has a snapshot of its own.
func (g *gateway) saves() {
	g.t.Helper()
	eventually(g.t, g.name+" saves", func() bool { return g.figure(`latchkey_edge_snapshot_saves_total{outcome="ok"}`) > 0 })
}

// A gateway that is restarted, in order or not, while the control plane is away
// goes on for the rest of its budget, but for what was revoked, and then finds
// its place in the log again.
func TestGatewayRestartedWhileTheControlPlaneIsAway(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	elsewhere := f.also(start(t, f.dsn))
	const budget = 12 * time.Second
	path := filepath.Join(t.TempDir(), "snapshot")
	g := gatewayOf(t, "gateway", f.token, []string{f.url}, "LATCHKEY_MAX_STALE="+budget.String(), "LATCHKEY_SNAPSHOT="+path)
	cached, _ := f.issue(nil)
	before, beforeID := f.issue(nil)
	after, afterID := f.issue(nil)
	cold, _ := f.issue(nil)
	g.caches(cached, before, after)

	g.ends()
	g.hears()
	g.saves()
	if g.resets() != 0 || g.figure("latchkey_edge_snapshot_loaded_records") != 3 {
		t.Errorf("%v resets, %v records: it did not go on", g.resets(), g.figure("latchkey_edge_snapshot_loaded_records"))
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	// The file was written before: only what was added to it knows of this. The
	// receipt waits for one process, for the one before said goodbye.
	receipt := f.act(beforeID, "revoke?wait=edges&timeout_ms=5000")
	if receipt.get("receipt", "confirmed") != 1.0 || receipt.get("receipt", "connected") != 1.0 {
		t.Fatalf("receipt: %s", receipt.raw)
	}

	f.stop()
	end := time.Now().Add(budget)
	g.restarts() // kill -9
	elsewhere.act(afterID, "revoke")
	g.becomes(cached, "VALID")
	g.expect(before, "UNDECIDED")
	g.ends() // and nothing newer to save
	g.becomes(cached, "VALID")
	g.admittedUntil(cached, end, func() {
		g.expect(before, "UNDECIDED")
		g.expect(cold, "UNDECIDED")
	})
	g.restarts() // too old now
	g.expect(cached, "UNDECIDED")

	start(t, f.dsn, f.address())
	g.becomes(cached, "VALID")
	g.refuses(before, "REVOKED")
	g.refuses(after, "REVOKED")
}

// What was revoked while the gateway was down is refused as soon as the control
// plane can be heard again, though the file still admits it.
func TestGatewayThatWasDownDuringARevocation(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	elsewhere := f.also(start(t, f.dsn))
	path := filepath.Join(t.TempDir(), "snapshot")
	g := gatewayOf(t, "gateway", f.token, []string{f.url}, "LATCHKEY_SNAPSHOT="+path)
	stays, _ := f.issue(nil)
	doomed, id := f.issue(nil)
	g.caches(stays, doomed)
	f.stop()
	g.ends()
	g.becomes(doomed, "VALID") // it cannot know, and the receipt says so
	receipt := elsewhere.act(id, "revoke?wait=edges&timeout_ms=100")
	if pending, _ := receipt.get("receipt", "pending").([]any); len(pending) == 0 {
		t.Errorf("nobody is waited for: %s", receipt.raw)
	}
	g.expect(stays, "VALID")
	start(t, f.dsn, f.address())
	g.becomes(doomed, "REVOKED")
	g.expect(stays, "VALID")
	g.saves()
	if g.resets() != 0 || g.outOfOrder() != 0 {
		t.Errorf("%v resets, %v out of order: it did not go on", g.resets(), g.outOfOrder())
	}
	eventually(t, "the process before is taken off the list", func() bool {
		a := f.also(elsewhere.replica).act(id, "revoke?wait=edges&timeout_ms=100")
		return a.get("receipt", "connected") == 1.0 && a.get("receipt", "confirmed") == 1.0
	})
}
