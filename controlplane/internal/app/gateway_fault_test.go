package app_test

import (
	"testing"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// The plugin is killed and started again and again under load: Kong repeats
// requests, answers 500 or waits, and nothing passes that should not.
func TestGatewayKilledUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	g := gatewayOf(t, "gateway", f.token, []string{f.url})
	l := loads(t, g.open, 8, f.presented(g))
	l.more("good: let through")
	pids := map[int]bool{g.Pid(): true}
	for range 4 {
		g.Respawn() // killed, and at once another
		pids[g.Pid()] = true
		l.more("good: let through")
	}
	g.Kill() // for as long as Kong takes to notice
	l.more("good: 500 by Kong")
	l.more("good: let through")
	l.report()
	if len(pids) != 5 || l.count("revoked: 401 REVOKED") == 0 {
		t.Errorf("%d processes, %v", len(pids), l.seen)
	}
}

// Panics cost those who cause them a 500 and nobody else anything.
func TestGatewayPanicsUnderLoad(t *testing.T) {
	t.Parallel()
	k := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, "../../../plugin/testdata/judge", "latchkey-judge")})
	pid := k.Pid()
	at := func(path string) kongtest.Request {
		return kongtest.Request{Path: path, Headers: shows("X-API-Key", apikey.NewSecret("lk", apikey.KindAPI, apikey.Live).Reveal())}
	}
	l := loads(t, k.Route(m{"scopes": []string{"reports:read"}}), 8, sends{
		"good": at("/"), "panic": at("/panic"), "nil": at("/nil"), "no code": at("/unknown"), "zero": at("/zero"),
	})
	for _, saw := range []string{"good: let through", "panic: 500 INTERNAL", "nil: 500 INTERNAL", "no code: 503", "zero: 503"} {
		l.more(saw)
	}
	l.report()
	if l.count("good: ") != l.count("good: let through") || k.Pid() != pid {
		t.Errorf("others suffered; process %d, was %d", k.Pid(), pid)
	}
}

// A policy that cannot be used, put in place and taken back under load.
func TestGatewayWithAWrongPolicyUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	g := gatewayOf(t, "gateway", f.token, []string{f.url})
	l := loads(t, g.open, 4, f.presented(g))
	for range 3 {
		l.more("good: let through")
		g.open.Configure(m{"scopes": []string{"NO SCOPE"}, "environment": "staging"})
		l.more("good: 500 INTERNAL")
		l.more("none: 500 INTERNAL")
		g.open.Configure(m{"scopes": []string{"reports:read"}})
	}
	l.more("good: let through")
	l.report()
}

// Everything that a network or a broken server can do between a gateway and its
// control plane, under load, with keys that are cached and new ones in between.
// What is revoked meanwhile is refused afterwards.
func TestGatewayBehindAFaultyNetworkUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	network := newBetween(t, f.url)
	g := gatewayOf(t, "gateway", f.token, []string{network.url})
	what := f.presented(g)
	for _, fault := range []string{stalls, failing, garbage, halfABody, strangers, noAnswers} {
		t.Run(fault, func(t *testing.T) {
			cold, _ := f.issue(nil)
			doomed, id := f.issue(nil)
			g.caches(doomed)
			what["good, not known before"] = kongtest.Request{Headers: shows("X-API-Key", cold)}
			network.becomes(fault)
			l := loads(t, g.open, 16, what)
			l.more("good, not known before: 503 UNDECIDED")
			l.more("good: let through") // cached, within the budget
			f.act(id, "revoke")
			l.more("revoked: 401 REVOKED")
			network.becomes(everything)
			g.becomes(doomed, "REVOKED")
			l.more("good, not known before: let through")
			l.report()
			g.refuses(doomed, "REVOKED")
			if n := g.outOfOrder(); n != 0 {
				t.Errorf("%v changes out of order", n)
			}
		})
	}
}
