package main_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/kong/cases"
	"github.com/latchkey/latchkey/kong/kongtest"
)

// gateway is a Kong with the plugin. Routes with the same policy are one.
type gateway struct {
	*kongtest.Kong
	mu     sync.Mutex
	routes map[string]*kongtest.Route // by the policy's JSON
}

// Route returns the route with a policy.
func (g *gateway) Route(t testing.TB, p cases.Policy) *kongtest.Route {
	t.Helper()
	name, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r, found := g.routes[string(name)]
	if !found {
		r = g.Kong.Route(p)
		g.routes[string(name)] = r
	}
	return r
}

// Ask implements cases.Gateway.
func (g *gateway) Ask(t testing.TB, p cases.Policy, r kongtest.Request) kongtest.Outcome {
	t.Helper()
	return access(t, g.Route(t, p), r)
}

// start runs the plugin under Kong with a control plane of its own, and waits
// until the two know each other.
func start(t testing.TB) (*gateway, *cases.ControlPlane) {
	t.Helper()
	c := cases.Serve(t)
	k := startWith(t, environment(c.URL()))
	cases.Ready(t, k)
	return k, c
}

func startWith(t testing.TB, env map[string]string) *gateway {
	t.Helper()
	return startOn(t, kongtest.Config{Env: env})
}

func startOn(t testing.TB, cfg kongtest.Config) *gateway {
	t.Helper()
	cfg.Binary = kongtest.Build(t, ".", "latchkey-auth")
	return &gateway{Kong: kongtest.Start(t, cfg), routes: map[string]*kongtest.Route{}}
}

func environment(url string) map[string]string {
	return map[string]string{"LATCHKEY_URL": url, "LATCHKEY_EDGE_TOKEN": cases.EdgeToken, "AUTH_CACHE_MB": "8"}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

func access(t testing.TB, r *kongtest.Route, req kongtest.Request) kongtest.Outcome {
	t.Helper()
	out, err := r.Access(t.Context(), req)
	if err != nil {
		t.Fatalf("Access: %v", err)
	}
	return out
}

// h makes headers of names and values in turn.
func h(pairs ...string) (out kongtest.Headers) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, kongtest.Header{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

// logged returns the lines of Kong's log, of a level that operators see, that
// hold a text.
func logged(k *kongtest.Kong, part string) (lines []string) {
	for _, l := range k.Logs() {
		if l.Level != "info" && strings.Contains(l.Text, part) {
			lines = append(lines, l.Level+": "+l.Text)
		}
	}
	return lines
}
