package cases

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// The plugins of kong/kongtest/testdata/echo, by the names that their binaries
// are built with: the same one on each of two plugin servers. They report what
// Kong tells them in X-Seen, and ask of it what their configuration says. By them
// kongtest is compared with Kong, whatever latchkey-auth needs of either.
const (
	ProbeOwn = "probe-own" // on plugin/server
	ProbePDK = "probe-pdk" // on go-pdk's server
)

// Probe is one request through a probe's route.
type Probe struct {
	Name    string
	Plugin  string // of one of them alone; "": of both
	Config  map[string]any
	Request kongtest.Request
	// Want is the outcome: all that a client and an upstream can tell.
	Want  kongtest.Outcome
	Calls []string // nil: as many as it takes
}

// seen is a request that is let through with X-Seen, and what is left.
func seen(value string, left ...string) kongtest.Outcome {
	return kongtest.Outcome{Allowed: true, Upstream: headers(append(left, "X-Seen", value)...)}
}

// noKey is the probe's refusal.
func noKey() kongtest.Outcome {
	return kongtest.Outcome{
		Status: http.StatusUnauthorized, Body: []byte("no key"),
		Headers: headers("WWW-Authenticate", "Bearer", "Content-Length", "6"),
	}
}

// Probes returns every case of the probes.
func Probes() []Probe {
	pads := make(kongtest.Headers, 100)
	for i := range pads {
		pads[i] = kongtest.Header{Name: "X-Pad", Value: "p"}
	}
	padded := kongtest.Request{Headers: append(pads, kongtest.Header{Name: "X-API-Key", Value: "a, b"})}
	return append([]Probe{
		{Name: "allowed, credential cleared", Request: sent("x-api-key", "k1", "Accept", "*/*"), Want: seen("k1", "Accept", "*/*"), Calls: calls(getHeader, setUpstream)},
		{Name: "missing header", Request: sent("Accept", "*/*"), Want: noKey(), Calls: calls(getHeader, exit)},
		{Name: "empty header", Request: sent("X-API-Key", ""), Want: noKey()},
		{Name: "of repeated headers the first", Request: sent("X-API-Key", "k1", "X-API-Key", "k2"), Want: seen("k1")},
		{Name: "underscore form is read, and stays", Request: sent("X_API_Key", "k1"), Want: seen("k1", "X_API_Key", "k1")},
		{Name: "of both forms the dashed one, whatever the order", Request: sent("X_API_Key", "forged", "X-API-Key", "k1"), Want: seen("k1", "X_API_Key", "forged")},
		{Name: "two underscore forms are none", Request: sent("X_API_Key", "a", "X_API_Key", "b"), Want: noKey()},
		{Name: "a comma and a hundred headers hide it", Request: padded, Want: noKey()},
		{Name: "a comma in a value", Request: sent("X-API-Key", "a, b"), Want: seen("a, b")},
		stripped(),
		{Name: "8 KiB", Request: sent("X-API-Key", strings.Repeat("k", 8<<10)), Want: seen(strings.Repeat("k", 8<<10))},
		{
			Name: "all headers", Config: Policy{"mode": "headers"}, Request: sent("X-A", "1", "x_a", "2", "X-A", "3", "B", ""),
			Want: seen("b= x-a=1,3 x_a=2", "X-A", "1", "x_a", "2", "X-A", "3", "B", ""),
		},
		{Name: "another header by configuration, null is absent", Config: Policy{"read": "Key", "names": nil}, Request: sent("key", "k1"), Want: seen("k1", "key", "k1")},
		{Name: "more headers at the upstream", Config: Policy{"names": []string{"A", "b_c"}}, Request: sent("X-API-Key", "k1", "B-C", "own", "a", "own"), Want: seen("k1", "A", "k1", "b_c", "k1", "B-C", "own")},
		{
			Name: Rest, Config: Policy{"mode": "rest"},
			Request: kongtest.Request{Method: "DELETE", Path: "/a/./b//../%7ec%2f%41", ClientIP: "198.51.100.7"},
			Want:    rest("198.51.100.7 DELETE /a/./b//../%7ec%2f%41", ""),
		},
		{
			Name: "an IPv6 address", Config: Policy{"mode": "rest"}, Request: kongtest.Request{ClientIP: "2001:db8::7"},
			Want: rest("2001:db8::7 GET /", ""),
		},
	}, byteProbes()...)
}

// Rest is the name of the case of which the model tells more: the caller that
// Kong is told, and a line in its log.
const Rest = "the rest"

// rest is the outcome of the mode that makes the calls beside the usual ones.
func rest(value, query string) kongtest.Outcome {
	out := seen(value)
	out.Query = query
	out.Headers = headers("RateLimit", "1", "Set-Cookie", "a%0D%0Ab")
	return out
}

// byteProbes are queries, and bytes that are not UTF-8, which go-pdk's server
// does not take.
func byteProbes() []Probe {
	query := Policy{"mode": "query"}
	odd := kongtest.Request{Query: "a=1&b&a=%32&=x&c=%zz+"}
	replaced := func(value string) kongtest.Outcome {
		out := seen(value)
		out.Query = "set=1"
		return out
	}
	table := seen("a=1,2 c=%zz ")
	table.Query = odd.Query
	return []Probe{
		{Name: "raw query, replaced", Plugin: ProbeOwn, Config: query, Request: odd, Want: replaced(odd.Query)},
		{Name: "query as a table", Plugin: ProbePDK, Config: query, Request: odd, Want: table},
		// The last one of go-pdk's: its process does not survive the call that fails.
		{Name: "an argument without a value is an error in Lua", Plugin: ProbePDK, Config: Policy{"mode": "queryarg"}, Request: odd, Want: kongtest.Outcome{Status: http.StatusInternalServerError}},
		{Name: "not UTF-8: header", Plugin: ProbeOwn, Request: sent("X-API-Key", "\xff"), Want: seen("\xff")},
		{Name: "not UTF-8: headers", Plugin: ProbeOwn, Config: Policy{"mode": "headers"}, Request: sent("A", "\xff"), Want: seen("a=\xff", "A", "\xff")},
		{Name: "not UTF-8: query", Plugin: ProbeOwn, Config: query, Request: kongtest.Request{Query: "a=\xff"}, Want: replaced("a=\xff")},
		{Name: "not UTF-8: path", Plugin: ProbeOwn, Config: Policy{"mode": "rest"}, Request: kongtest.Request{Path: "/\xff", Query: "q"}, Want: rest("192.0.2.1 GET /\xff", "q")},
	}
}

// Check compares what became of the request with what should. Of Kong's own 500
// only the status is compared: its body has a request id in it.
func (p *Probe) Check(t testing.TB, out *kongtest.Outcome) {
	t.Helper()
	w := &p.Want
	if out.Allowed != w.Allowed || out.Status != w.Status && !w.Allowed || out.Replays != 0 {
		t.Fatalf("let through: %v, status %d, %d replays; want %v, %d", out.Allowed, out.Status, out.Replays, w.Allowed, w.Status)
	}
	if w.Status == http.StatusInternalServerError {
		return
	}
	if diff := cmp.Diff(Normal(w.Upstream), Normal(out.Upstream)); diff != "" {
		t.Errorf("the upstream's headers: %s", diff)
	}
	if diff := cmp.Diff(Normal(w.Headers), Normal(out.Headers)); diff != "" {
		t.Errorf("the client's headers: %s", diff)
	}
	if out.Query != w.Query || string(out.Body) != string(w.Body) {
		t.Errorf("query %q, body %q; want %q, %q", out.Query, out.Body, w.Query, w.Body)
	}
}
