package main_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/kong/cases"
	"github.com/latchkey/latchkey/kong/kongtest"
)

// A look-up costs one call more, for the client's address, and only the first.
func TestFirstRequestAsksForTheAddress(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	req := kongtest.Request{Headers: h("X-API-Key", c.Issue(nil))}
	first, second := k.Ask(t, cases.Scoped(), req).Calls, k.Ask(t, cases.Scoped(), req).Calls
	if len(second) != 2 || !slices.Equal(first, slices.Insert(slices.Clone(second), 1, "kong.client.get_forwarded_ip")) {
		t.Errorf("first %v, then %v", first, second)
	}
}

// A route without scopes is told of once, whichever worker meets it, and again
// neither after a change of Kong's configuration.
func TestRouteWithoutScopesIsToldOnce(t *testing.T) {
	t.Parallel()
	c := cases.Serve(t)
	k := startOn(t, kongtest.Config{Env: environment(c.URL()), Workers: 3})
	cases.Ready(t, k)
	for range 6 {
		k.Ask(t, nil, kongtest.Request{})
		k.RestartInstances()
	}
	if lines := logged(k.Kong, "asks for no scopes"); len(lines) != 1 || !strings.HasPrefix(lines[0], "warn: ") {
		t.Errorf("%q", lines)
	}
}
