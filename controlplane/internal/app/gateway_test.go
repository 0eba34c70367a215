package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/kong/kongtest"
)

// gateway is the plugin's own binary under Kong's side of its protocol, in front
// of whole replicas.
type gateway struct {
	*kongtest.Kong
	t       testing.TB
	name    string
	metrics string          // address of its figures
	open    *kongtest.Route // asks for one scope, reports:read
}

// gatewayOf starts a gateway that knows the given addresses, the first first,
// and waits until it hears of changes. more are settings as NAME=value.
func gatewayOf(t testing.TB, name, token string, urls []string, more ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, name: name, metrics: freeAddress(t)}
	env := map[string]string{
		"LATCHKEY_URL": strings.Join(urls, ","), "LATCHKEY_EDGE_TOKEN": token, "LATCHKEY_GATEWAY_NAME": name,
		"AUTH_CACHE_MB": "8", "LATCHKEY_METRICS_LISTEN": g.metrics,
	}
	for _, setting := range more {
		name, value, _ := strings.Cut(setting, "=")
		env[name] = value
	}
	g.Kong = kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, "../../../plugin", "latchkey-auth"), Env: env})
	g.open = g.Route(m{"scopes": []string{"reports:read"}})
	g.hears()
	return g
}

// hears waits until the gateway has heard of the prefixes that keys have: until
// then what is no key is not decided either.
func (g *gateway) hears() {
	g.t.Helper()
	eventually(g.t, g.name+" hears the feed", func() bool { return g.ask("no key").Status == http.StatusUnauthorized })
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// shows makes headers of names and values in turn.
func shows(pairs ...string) (out kongtest.Headers) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, kongtest.Header{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

// send puts a request through a route. What is neither passed on nor answered by
// the plugin itself fails the test.
func (g *gateway) send(route *kongtest.Route, req kongtest.Request) kongtest.Outcome {
	g.t.Helper()
	out, err := route.Access(g.t.Context(), req)
	if err != nil || out.Err != nil || out.Replays != 0 {
		g.t.Fatalf("%s: %v %+v", g.name, err, out)
	}
	return out
}

// ask shows a key.
func (g *gateway) ask(key string) kongtest.Outcome {
	g.t.Helper()
	return g.send(g.open, kongtest.Request{Headers: shows("X-API-Key", key)})
}

// code is VALID for a request that was let through, else the refusal's code.
func code(out kongtest.Outcome) string {
	if out.Allowed {
		return "VALID"
	}
	return answered(out).code()
}

// answered is a refusal in the form of the other door's answers.
func answered(out kongtest.Outcome) answer {
	a := answer{status: out.Status, header: http.Header{}, raw: string(out.Body)}
	for _, h := range out.Headers {
		a.header.Add(h.Name, h.Value)
	}
	_ = json.Unmarshal(out.Body, &a.body) // then it has no code
	return a
}

// expect fails the test unless the gateway answers so, at once.
func (g *gateway) expect(key, want string) {
	g.t.Helper()
	if got := code(g.ask(key)); got != want {
		g.t.Errorf("%s answers %s, want %s", g.name, got, want)
	}
}

// becomes waits until the gateway answers so.
func (g *gateway) becomes(key, want string) {
	g.t.Helper()
	eventually(g.t, g.name+" answers "+want, func() bool { return code(g.ask(key)) == want })
}

// refuses waits until the gateway refuses so, and fails the test if it admits
// meanwhile.
func (g *gateway) refuses(key, want string) {
	g.t.Helper()
	eventually(g.t, g.name+" answers "+want, func() bool {
		out := g.ask(key)
		if out.Allowed {
			g.t.Fatalf("%s admits a key that is %s", g.name, want)
		}
		return code(out) == want
	})
}

// caches makes sure that the next answer about a good key costs no look-up.
func (g *gateway) caches(keys ...string) {
	g.t.Helper()
	for _, key := range keys {
		eventually(g.t, g.name+" has the record", func() bool {
			out := g.ask(key)
			if !out.Allowed && code(out) != "UNDECIDED" { // which a busy machine's look-up may be
				g.t.Fatalf("%s: a good key is %s", g.name, out.Body)
			}
			return out.Allowed && len(out.Calls) == 2
		})
	}
}

// figure is the sum of the gateway's figures whose name and labels begin so.
func (g *gateway) figure(start string) (sum float64) {
	g.t.Helper()
	ops := &replica{t: g.t, url: "http://" + g.metrics}
	lines := bufio.NewScanner(strings.NewReader(ops.send(http.MethodGet, "/metrics", "").raw))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && strings.HasPrefix(name, start) {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				g.t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

func (g *gateway) resets() float64  { return g.figure("latchkey_edge_resets_total") }
func (g *gateway) changes() float64 { return g.figure("latchkey_edge_changes_total") }

// outOfOrder counts changes that were told twice or out of order, which makes a
// gateway drop its place.
func (g *gateway) outOfOrder() float64 {
	return g.figure(`latchkey_edge_feed_ends_total{cause="history"}`)
}

// lost counts streams that fell silent while they were open.
func (g *gateway) lost() float64 { return g.figure(`latchkey_edge_feed_ends_total{cause="silent"}`) }

// front is one replica and what a gateway needs to follow it.
type front struct {
	*replica
	dsn, admin, token string
}

func newFront(t testing.TB, more ...string) *front {
	t.Helper()
	dsn := pgtest.DSN(t)
	return frontOf(start(t, dsn, more...), dsn)
}

func frontOf(r *replica, dsn string) *front {
	r.t.Helper()
	f := &front{replica: r, dsn: dsn, admin: r.admin()}
	f.token = f.management("edge:connect")
	return f
}

func (f *front) management(scopes ...string) string {
	f.t.Helper()
	return f.call(f.admin, "POST", "/api/v1/keys", m{"name": "m", "kind": "management", "scopes": scopes}, 201).text("secret")
}

// issue makes a key that holds reports:read, and what body says.
func (f *front) issue(body m) (secret, id string) {
	f.t.Helper()
	full := m{"name": "k", "scopes": []string{"reports:read"}}
	for name, v := range body {
		full[name] = v
	}
	a := f.call(f.admin, "POST", "/api/v1/keys", full, 201)
	return a.text("secret"), a.text("key", "id")
}

// act calls one of a key's actions, such as revoke?wait=edges.
func (f *front) act(id, action string) answer {
	f.t.Helper()
	return f.call(f.admin, "POST", "/api/v1/keys/"+id+"/"+action, nil, 200)
}

// world is two replicas over one database with three gateways: the first knows
// both replicas, the others one each.
type world struct {
	*front
	other    *replica
	gateways []*gateway
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{front: newFront(t)}
	w.other = start(t, w.dsn)
	for i, urls := range [][]string{{w.other.url, w.url}, {w.url}, {w.other.url}} {
		w.gateways = append(w.gateways, gatewayOf(t, fmt.Sprint("gateway ", i), w.token, urls))
	}
	return w
}

// receipt fails the test unless a receipt names every gateway as confirmed.
func (w *world) receipt(a answer) {
	w.t.Helper()
	n := float64(len(w.gateways))
	want := m{"connected": n, "confirmed": n, "pending": []any{}}
	got := m{"connected": a.get("receipt", "connected"), "confirmed": a.get("receipt", "confirmed"), "pending": a.get("receipt", "pending")}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("receipt: %s\n%s", diff, a.raw)
	}
}
