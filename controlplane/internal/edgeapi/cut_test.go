package edgeapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/wire"
)

const budget = time.Minute

// A gateway that is cut off admits within its budget, and the receipt says so
// and until when; after that moment it refuses by itself.
func TestAReceiptNamesTheGatewayThatIsCutOff(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t), "127.0.0.1:0")
	admin, token := r.token(t, access.All).Secret.Reveal(), r.token(t, access.EdgeConnect).Secret.Reveal()
	k, between := r.issue(t), newProxy(t, r.addr)
	near, far := connect(t, "near", token, budget, r.addr), connect(t, "far", token, budget, between.addr)
	near.cached(t, k)
	far.cached(t, k)
	release := between.stall()
	defer release()

	path := "/api/v1/keys/" + k.Key.ID.String() + "/revoke?wait=edges&timeout_ms="
	var got revocation
	r.call(t, http.MethodPost, path+"300", admin, "", &got)
	if c := got.Receipt; c.Connected != 2 || c.Confirmed != 1 || len(c.Pending) != 1 || c.Pending[0].Gateway != "far" || c.ElapsedMS < 300 {
		t.Fatalf("receipt: %+v", got)
	}
	if code := near.judge(t, k); code != apikey.Revoked {
		t.Errorf("the gateway that confirmed answers %s", code)
	}
	if code := far.judge(t, k); code != apikey.Valid {
		t.Errorf("the gateway that is cut off answers %s within its budget", code)
	}
	p := got.Receipt.Pending[0]
	if d := p.RefusesBy.Sub(p.LastSeenAt); d != wire.RefusesAfter(budget) {
		t.Errorf("it is to refuse %s after it was seen", d)
	}
	far.ahead.Store(int64(time.Until(p.RefusesBy)))
	if code := far.judge(t, k); code != apikey.Undecided {
		t.Errorf("at refuses_by it answers %s", code)
	}
	release()
	r.call(t, http.MethodPost, path+"20000", admin, "", &got)
	if c := got.Receipt; c.Connected != 2 || c.Confirmed != 2 || len(c.Pending) != 0 {
		t.Errorf("connected again: %+v", got)
	}
	if code := far.judge(t, k); code != apikey.Revoked {
		t.Errorf("connected again it answers %s", code)
	}
	near.stop() // says goodbye: no receipt waits for it
	r.call(t, http.MethodPost, path+"20000", admin, "", &got)
	if c := got.Receipt; c.Connected != 1 || c.Confirmed != 1 {
		t.Errorf("after a goodbye: %+v", got)
	}
}

// A feed that is open and silent is lost after three seconds: to the validator
// by the moved clock, to the connection by the real one.
func TestAFeedThatStallsIsLost(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t), "127.0.0.1:0")
	token := r.token(t, access.EdgeConnect).Secret.Reveal()
	k, between := r.issue(t), newProxy(t, r.addr)
	g := connect(t, "no budget", token, 0, between.addr)
	g.cached(t, k)
	release := between.stall()
	defer release()
	if code := g.judge(t, k); code != apikey.Valid {
		t.Fatalf("before it is lost: %s", code)
	}
	g.ahead.Store(int64(wire.Lost + time.Millisecond))
	if code := g.judge(t, k); code != apikey.Undecided {
		t.Errorf("after three seconds of silence, without a budget: %s", code)
	}
	eventually(t, "the stalled stream is given up", func() bool { return g.count(t, "feed_ends_total", "silent") > 0 })
	release()
	eventually(t, "the feed is back", func() bool { return g.feedAge(t) < 1 && g.judge(t, k) == apikey.Valid })
	if n := g.count(t, "resets_total", ""); n != 1 {
		t.Errorf("%v resets: it did not resume", n)
	}
}

func TestAReplicaThatLostItsDatabaseGoesSilent(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	r := start(t, server.DSN(), "127.0.0.1:0")
	token := r.token(t, access.EdgeConnect).Secret.Reveal()
	known, other := r.issue(t), r.issue(t)
	g := connect(t, "gateway", token, budget, r.addr)
	g.cached(t, known)
	server.Kill()
	if code := g.judge(t, known); code != apikey.Valid {
		t.Errorf("a cached key within the budget: %s", code)
	}
	if code := g.judge(t, other); code != apikey.Undecided {
		t.Errorf("an unknown key: %s", code)
	}
	eventually(t, "the silence is noticed, though the stream is open", func() bool { return g.count(t, "feed_ends_total", "silent") > 0 })
	if code := g.judge(t, known); code != apikey.Valid {
		t.Errorf("a cached key within the budget, the feed lost: %s", code)
	}
	g.ahead.Store(int64(budget))
	if code := g.judge(t, known); code != apikey.Undecided {
		t.Errorf("a cached key after the budget: %s", code)
	}
	server.Start()
	eventually(t, "the feed is back", func() bool { return g.judge(t, known) == apikey.Valid && g.judge(t, other) == apikey.Valid })
	if n := g.count(t, "resets_total", ""); n != 1 {
		t.Errorf("%v resets: it did not resume", n)
	}
}

func TestAGatewayResumesAfterARestartOfItsReplica(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r, elsewhere := start(t, dsn, "127.0.0.1:0"), start(t, dsn, "127.0.0.1:0")
	token := r.token(t, access.EdgeConnect).Secret.Reveal()
	gone, stays := r.issue(t), r.issue(t)
	g := connect(t, "gateway", token, budget, r.addr)
	g.cached(t, gone)
	g.cached(t, stays)
	before := g.count(t, "changes_total", "")
	r.stop()
	must[keys.Key](t)(elsewhere.keys.Revoke(t.Context(), access.CLI("test"), gone.Key.ID, keys.KeyCompromise))
	must[keys.Key](t)(elsewhere.keys.Disable(t.Context(), access.CLI("test"), stays.Key.ID))
	must[keys.Key](t)(elsewhere.keys.Enable(t.Context(), access.CLI("test"), stays.Key.ID))
	if code := g.judge(t, gone); code != apikey.Valid {
		t.Errorf("cut off, within the budget: %s", code)
	}
	back := start(t, dsn, r.addr) // its ring is empty: what was missed is in the log alone
	eventually(t, "the revocation arrives", func() bool { return g.judge(t, gone) == apikey.Revoked })
	if n, resets := g.count(t, "changes_total", "")-before, g.count(t, "resets_total", ""); n != 3 || resets != 1 {
		t.Errorf("%v changes and %v resets, want 3 and 1", n, resets)
	}
	if n := metric(t, back.hub, "latchkey_edgeapi_log_reads_total", ""); n != 1 {
		t.Errorf("the log was read %v times for one gateway", n)
	}
}
