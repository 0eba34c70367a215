package kongtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// servers are the two plugin servers that the harness is proven with: the same
// plugin on each.
var servers = map[string]string{
	"go-pdk": "./testdata/echo/pdk",
	"own":    "./testdata/echo/own",
}

// onBoth runs a test on each server.
func onBoth(t *testing.T, test func(t *testing.T, binary, server string)) {
	t.Helper()
	for name, pkg := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, kongtest.Build(t, pkg, "echo"), name)
		})
	}
}

func access(t *testing.T, r *kongtest.Route, req kongtest.Request) kongtest.Outcome {
	t.Helper()
	out, err := r.Access(t.Context(), req)
	if err != nil {
		t.Fatalf("Access: %v", err)
	}
	return out
}

func h(pairs ...string) (out kongtest.Headers) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, kongtest.Header{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func TestDumpIsTheSameOnBothServers(t *testing.T) {
	t.Parallel()
	prefix := t.TempDir()
	var dumps []map[string]any
	for _, pkg := range servers {
		raw := runDump(t, kongtest.Build(t, pkg, "echo"), prefix)
		if _, err := kongtest.ParseDump(raw); err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		dumps = append(dumps, m)
	}
	if diff := cmp.Diff(dumps[0], dumps[1]); diff != "" {
		t.Error(diff)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	hundred := make(kongtest.Headers, 100)
	for i := range hundred {
		hundred[i] = kongtest.Header{Name: "X-Pad", Value: "p"}
	}
	const get, set = "kong.request.get_header", "kong.service.request.set_headers"
	tests := map[string]struct {
		config   map[string]any
		req      kongtest.Request
		seen     string // X-Seen at the upstream
		upstream kongtest.Headers
		status   int // of a refusal
		calls    []string
	}{
		"allowed, credential cleared": {
			req:  kongtest.Request{Headers: h("x-api-key", "k1", "Accept", "*/*")},
			seen: "k1", upstream: h("Accept", "*/*", "X-Seen", "k1"), calls: []string{get, set},
		},
		"missing header": {
			req: kongtest.Request{Headers: h("Accept", "*/*")}, status: 401, calls: []string{get, "kong.response.exit"},
		},
		"empty header": {
			req: kongtest.Request{Headers: h("X-API-Key", "")}, status: 401,
		},
		"of repeated headers the first": {
			req: kongtest.Request{Headers: h("X-API-Key", "k1", "X-API-Key", "k2")}, seen: "k1", upstream: h("X-Seen", "k1"),
		},
		"underscore form is read, and stays": {
			req: kongtest.Request{Headers: h("X_API_Key", "k1")}, seen: "k1", upstream: h("X_API_Key", "k1", "X-Seen", "k1"),
		},
		"of both forms the dashed one, whatever the order": {
			req:  kongtest.Request{Headers: h("X_API_Key", "forged", "X-API-Key", "k1")},
			seen: "k1", upstream: h("X_API_Key", "forged", "X-Seen", "k1"),
		},
		"two underscore forms are none": {
			req: kongtest.Request{Headers: h("X_API_Key", "a", "X_API_Key", "b")}, status: 401,
		},
		"a comma and a hundred headers hide it": {
			req: kongtest.Request{Headers: append(hundred, kongtest.Header{Name: "X-API-Key", Value: "a, b"})}, status: 401,
		},
		"a comma in a value": {
			req: kongtest.Request{Headers: h("X-API-Key", "a, b")}, seen: "a, b",
		},
		"8 KiB": {
			req: kongtest.Request{Headers: h("X-API-Key", strings.Repeat("k", 8<<10))}, seen: strings.Repeat("k", 8<<10),
		},
		"all headers": {
			config: map[string]any{"mode": "headers"},
			req:    kongtest.Request{Headers: h("X-A", "1", "x_a", "2", "X-A", "3", "B", "")},
			seen:   "b= x-a=1,3 x_a=2",
		},
		"another header by configuration, null is absent": {
			config: map[string]any{"read": "Key", "names": nil},
			req:    kongtest.Request{Headers: h("key", "k1")}, seen: "k1",
		},
		"the rest": {
			config: map[string]any{"mode": "rest"},
			req:    kongtest.Request{Method: "DELETE", Path: "/a/./b//../%7ec%2f%41", ClientIP: "198.51.100.7"},
			seen:   "198.51.100.7 DELETE /a/./b//../%7ec%2f%41",
		},
	}
	onBoth(t, func(t *testing.T, binary, server string) {
		k := kongtest.Start(t, kongtest.Config{Binary: binary, Workers: 2})
		for name, tc := range tests {
			t.Run(name, func(t *testing.T) {
				out := access(t, k.Route(tc.config), tc.req)
				if tc.status != 0 {
					if out.Allowed || out.Status != tc.status || string(out.Body) != "no key" || out.Headers.Get("WWW-Authenticate") != "Bearer" {
						t.Fatalf("not the refusal: %+v", out)
					}
				} else if !out.Allowed || out.Upstream.Get("X-Seen") != tc.seen {
					t.Fatalf("seen %q, want %q: %+v", out.Upstream.Get("X-Seen"), tc.seen, out)
				}
				if tc.upstream != nil {
					if diff := cmp.Diff(tc.upstream, out.Upstream); diff != "" {
						t.Error(diff)
					}
				}
				if tc.calls != nil {
					if diff := cmp.Diff(tc.calls, out.Calls); diff != "" {
						t.Error(diff)
					}
				}
				if tc.config["mode"] == "rest" {
					restEffects(t, k, out)
				}
			})
		}
	})
}

// restEffects are what the calls beside the two usual ones leave behind.
func restEffects(t *testing.T, k *kongtest.Kong, out kongtest.Outcome) {
	t.Helper()
	want := kongtest.Caller{ConsumerID: "c", Username: "u", CustomID: "x", CredentialID: "k"}
	if out.Caller != want {
		t.Errorf("caller %+v, want %+v", out.Caller, want)
	}
	if diff := cmp.Diff(h("RateLimit", "1", "Set-Cookie", "a%0D%0Ab"), out.Headers); diff != "" {
		t.Error(diff)
	}
	if !logged(k, "err", "a line") {
		t.Error("the line is not in Kong's log")
	}
}

func logged(k *kongtest.Kong, level, part string) bool {
	for _, l := range k.Logs() {
		if l.Level == level && strings.Contains(l.Text, part) {
			return true
		}
	}
	return false
}

func TestQueryWithoutValue(t *testing.T) {
	t.Parallel()
	req := kongtest.Request{Query: "a=1&b&a=%32&=x&c=%zz+"}
	own := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, servers["own"], "echo")})
	out := access(t, own.Route(map[string]any{"mode": "query"}), req)
	if got := out.Upstream.Get("X-Seen"); !out.Allowed || got != req.Query || out.Query != "set=1" {
		t.Errorf("query seen as %q and sent on as %q", got, out.Query)
	}

	pdk := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, servers["go-pdk"], "echo")})
	out = access(t, pdk.Route(map[string]any{"mode": "query"}), req)
	if got, want := out.Upstream.Get("X-Seen"), "a=1,2 c=%zz "; !out.Allowed || got != want {
		t.Errorf("go-pdk: query seen as %q, want %q", got, want)
	}
	out = access(t, pdk.Route(map[string]any{"mode": "queryarg"}), req)
	if out.Allowed || out.Status != 500 || out.Err == nil || !strings.Contains(out.Err.Error(), "got boolean") {
		t.Errorf("get_query_arg on ?b: %+v, want the error in Lua", out)
	}
}

func TestBytesThatAreNotUTF8(t *testing.T) {
	t.Parallel()
	own := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, servers["own"], "echo")})
	for name, tc := range map[string]struct {
		mode string
		req  kongtest.Request
		seen string
	}{
		"header":  {"", kongtest.Request{Headers: h("X-API-Key", "\xff")}, "\xff"},
		"headers": {"headers", kongtest.Request{Headers: h("A", "\xff")}, "a=\xff"},
		"query":   {"query", kongtest.Request{Query: "a=\xff"}, "a=\xff"},
		"path":    {"rest", kongtest.Request{Path: "/\xff", Query: "q"}, "192.0.2.1 GET /\xff"},
	} {
		out := access(t, own.Route(map[string]any{"mode": tc.mode}), tc.req)
		if !out.Allowed || out.Upstream.Get("X-Seen") != tc.seen {
			t.Errorf("%s: %+v, want %q", name, out, tc.seen)
		}
	}
}

func TestEnvironmentIsEmpty(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, binary, server string) {
		k := kongtest.Start(t, kongtest.Config{Binary: binary, Env: map[string]string{"LATCHKEY_URL": "u"}})
		for v := range strings.SplitSeq(access(t, k.Route(map[string]any{"mode": "env"}), kongtest.Request{}).Upstream.Get("X-Seen"), " ") {
			if !strings.HasPrefix(v, "PWD=") && v != "LATCHKEY_URL=u" {
				t.Errorf("%s: in the environment", v)
			}
		}
	})
}

func TestHungHandler(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, binary, server string) {
		k := kongtest.Start(t, kongtest.Config{Binary: binary, Timeout: 100 * time.Millisecond})
		hang := k.Route(map[string]any{"mode": "hang"})
		if out := access(t, hang, kongtest.Request{}); out.Status != 500 || out.Replays != 0 || out.Err == nil {
			t.Errorf("Kong's own limit: %+v, want a 500 without replay", out)
		}
		if out := access(t, k.Route(nil), kongtest.Request{Headers: h("X-API-Key", "k")}); !out.Allowed {
			t.Errorf("beside it: %+v", out)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := hang.Access(ctx, kongtest.Request{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the test's own limit: %v", err)
		}
	})
}
