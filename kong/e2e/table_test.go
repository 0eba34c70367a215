package e2e

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/cases"
	"github.com/latchkey/latchkey/kong/kongtest"
)

const plugin = "latchkey-auth"

// plugins are the packages of what Kong runs here.
var plugins = map[string]string{
	plugin: "../../plugin", cases.ProbeOwn: "../kongtest/testdata/echo/own", cases.ProbePDK: "../kongtest/testdata/echo/pdk",
}

// setting is what a Kong is started with.
type setting struct {
	config []byte // declarative, JSON
	// environment of latchkey-auth, which a real Kong's plugins need in a file.
	environment map[string]string
}

// through puts the whole table through the Kong that open starts, and compares
// it with the model. open returns the address of its proxy, which expects a PROXY
// line on each connection.
func through(t *testing.T, open func(*testing.T, setting) string) {
	all, err := cases.All()
	if err != nil {
		t.Fatal(err)
	}
	c := cases.Serve(t)
	r := &routes{hosts: map[binding]string{}}
	r.add(t, plugin, cases.Scoped())
	for _, tc := range all {
		c.Know(tc.Keys...)
		r.add(t, plugin, tc.Policy)
	}
	for _, p := range cases.Probes() {
		for _, name := range []string{cases.ProbeOwn, cases.ProbePDK} {
			r.add(t, name, p.Config)
		}
	}
	g := &gateway{routes: r, upstream: newUpstream(t)}
	environment := map[string]string{"LATCHKEY_URL": c.URL(), "LATCHKEY_EDGE_TOKEN": cases.EdgeToken, "AUTH_CACHE_MB": "8"}
	model := newModel(t, environment)
	g.address = open(t, setting{r.declare(t, g.upstream), environment})
	for name := range plugins {
		g.ready(t, name)
	}
	cases.Ready(t, model)

	sent := 0
	for _, tc := range all {
		if tc.Unsendable != "" {
			continue // the model is asked in plugin/
		}
		sent++
		t.Run(tc.Name, func(t *testing.T) {
			want := model.access(t, plugin, tc.Policy, tc.Request)
			for range 2 { // a key that is not cached, and one that is
				out := g.ask(t, plugin, tc.Policy, tc.Request)
				if status := tc.Request.Nginx(); status != 0 && byNginx(&out, status) {
					continue
				}
				tc.Check(t, &out)
				same(t, &want, &out)
			}
		})
	}
	for _, p := range cases.Probes() {
		for _, name := range []string{cases.ProbeOwn, cases.ProbePDK} {
			if p.Plugin != "" && p.Plugin != name {
				continue
			}
			sent++
			t.Run(name+": "+p.Name, func(t *testing.T) {
				want := model.access(t, name, p.Config, p.Request)
				out := g.ask(t, name, p.Config, p.Request)
				p.Check(t, &out)
				same(t, &want, &out)
			})
		}
	}
	t.Logf("%d cases went over the wire", sent)
	t.Run("a control plane that answers badly", func(t *testing.T) { cases.BadAnswers(t, g, c) })
	t.Run("a control plane that is away", func(t *testing.T) { cases.Away(t, g, c) })
}

// byNginx reports whether it is nginx itself that answered, and nothing went
// further. A Kong before 3.9.3 hands some of what nginx refuses now to the plugin,
// whose answer is then held to the case.
func byNginx(out *kongtest.Outcome, status int) bool {
	return !out.Allowed && out.Status == status && !bytes.Contains(out.Body, []byte("/docs/errors/"))
}

// same wants the outcome to be the model's. Of Kong's own 500 it compares the
// status.
func same(t *testing.T, model, out *kongtest.Outcome) {
	t.Helper()
	type visible struct {
		Allowed           bool
		Status            int
		Query, Body       string
		Upstream, Answers kongtest.Headers
	}
	of := func(o *kongtest.Outcome) visible {
		v := visible{Allowed: o.Allowed, Query: o.Query, Upstream: cases.Normal(o.Upstream), Answers: cases.Normal(o.Headers)}
		if !o.Allowed {
			v.Status, v.Body = o.Status, string(o.Body)
		}
		if model.Err != nil {
			v.Body, v.Answers = "", nil
		}
		return v
	}
	if diff := cmp.Diff(of(model), of(out)); diff != "" {
		t.Errorf("the model (-) is not Kong (+): %s", diff)
	}
}

// gateway is a Kong at an address.
type gateway struct {
	routes   *routes
	upstream *upstream
	address  string
}

// Ask implements cases.Gateway.
func (g *gateway) Ask(t testing.TB, p cases.Policy, r kongtest.Request) kongtest.Outcome {
	t.Helper()
	return g.ask(t, plugin, p, r)
}

func (g *gateway) ask(t testing.TB, name string, config map[string]any, r kongtest.Request) kongtest.Outcome {
	t.Helper()
	out := g.try(t, name, config, r)
	if out.refused != nil {
		t.Fatalf("no answer: %v", out.refused)
	}
	return out.Outcome
}

func (g *gateway) try(t testing.TB, name string, config map[string]any, r kongtest.Request) exchange {
	t.Helper()
	host, found := g.routes.hosts[bindingOf(t, name, config)]
	if !found {
		t.Fatalf("Kong has no route for %s with %v", name, config)
	}
	return send(t, g.address, host, g.upstream, r)
}

// ready waits until Kong listens and a plugin refuses what it should, which
// latchkey-auth does as soon as it has heard of its control plane.
func (g *gateway) ready(t testing.TB, name string) {
	t.Helper()
	config, request := cases.Policy(nil), kongtest.Request{}
	if name == plugin {
		config, request.Headers = cases.Scoped(), kongtest.Headers{{Name: "X-API-Key", Value: "none"}}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		out := g.try(t, name, config, request)
		if out.refused == nil && out.Status == http.StatusUnauthorized {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not refuse: %v, status %d %s", name, out.refused, out.Status, out.Body)
		}
	}
}

// model is kongtest with the same plugins.
type model struct {
	kongs  map[string]*kongtest.Kong
	routes map[binding]*kongtest.Route
}

func newModel(t *testing.T, environment map[string]string) *model {
	t.Helper()
	return &model{kongs: kongs(t, environment), routes: map[binding]*kongtest.Route{}}
}

func kongs(t *testing.T, environment map[string]string) map[string]*kongtest.Kong {
	t.Helper()
	all := map[string]*kongtest.Kong{}
	for name, pkg := range plugins {
		cfg := kongtest.Config{Binary: kongtest.Build(t, pkg, name)}
		if name == plugin {
			cfg.Env = environment
		}
		all[name] = kongtest.Start(t, cfg)
	}
	return all
}

// Ask implements cases.Gateway.
func (m *model) Ask(t testing.TB, p cases.Policy, r kongtest.Request) kongtest.Outcome {
	t.Helper()
	return m.access(t, plugin, p, r)
}

func (m *model) access(t testing.TB, name string, config map[string]any, r kongtest.Request) kongtest.Outcome {
	t.Helper()
	b := bindingOf(t, name, config)
	route, found := m.routes[b]
	if !found {
		route = m.kongs[name].Route(config)
		m.routes[b] = route
	}
	out, err := route.Access(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
