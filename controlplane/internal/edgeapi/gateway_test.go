package edgeapi_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/edge"
	"github.com/latchkey/latchkey/shared/validator"
)

// gateway is an edge that runs, with a clock that can be moved.
type gateway struct {
	*edge.Edge
	ahead atomic.Int64 // how far its clock is
	stop  func()
}

func (g *gateway) now() time.Time { return time.Now().Add(time.Duration(g.ahead.Load())) }

// connect runs a gateway that knows the given replicas and waits until its feed
// is heard.
func connect(t testing.TB, name, token string, budget time.Duration, addresses ...string) *gateway {
	t.Helper()
	g := &gateway{}
	g.Edge = must[*edge.Edge](t)(edge.New(edge.Config{
		URLs: "http://" + strings.Join(addresses, ", http://"), Token: token, Gateway: name, Version: "test", Now: g.now,
		Validator: validator.Config{CacheMB: 8, StaleBudget: budget},
	}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	stopped := false
	g.stop = func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-done; err != nil {
				t.Errorf("gateway %s: %v", name, err)
			}
		}
	}
	t.Cleanup(g.stop)
	eventually(t, name+" hears the feed", func() bool { return g.Prefixes() != nil && g.feedAge(t) < 2 })
	return g
}

func (g *gateway) feedAge(t testing.TB) float64 {
	return metric(t, g.Edge, "latchkey_validator_feed_age_seconds", "")
}

func (g *gateway) count(t testing.TB, name, label string) float64 {
	t.Helper()
	return metric(t, g.Edge, "latchkey_edge_"+name, label)
}

// judge asks the gateway's validator about a key.
func (g *gateway) judge(t testing.TB, k keys.Issued) apikey.Code {
	t.Helper()
	token, ok := g.Prefixes().Parse(k.Secret.Reveal())
	if !ok {
		t.Fatal("the gateway does not know a key by its shape")
	}
	v := g.Validator().Validate(t.Context(), &apikey.Request{Fingerprint: token.Fingerprint, Kind: apikey.KindAPI})
	return v.Code
}

// cached makes sure that the next answer about a key costs no look-up.
func (g *gateway) cached(t testing.TB, k keys.Issued) {
	t.Helper()
	eventually(t, "the record is cached", func() bool {
		before := g.count(t, "calls_total", "records")
		if code := g.judge(t, k); code != apikey.Valid {
			t.Fatalf("a good key is %s", code)
		}
		return g.count(t, "calls_total", "records") == before
	})
}
