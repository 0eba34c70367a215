package kongtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/cases"
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

// Every probe of the table, which a real Kong is held to as well, and what only
// the model tells of it.
func TestAccess(t *testing.T) {
	t.Parallel()
	for plugin, server := range map[string]string{cases.ProbeOwn: "own", cases.ProbePDK: "go-pdk"} {
		k := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, servers[server], plugin), Workers: 2})
		t.Run(server, func(t *testing.T) {
			for _, p := range cases.Probes() {
				if p.Plugin != "" && p.Plugin != plugin {
					continue
				}
				t.Run(p.Name, func(t *testing.T) {
					out := access(t, k.Route(p.Config), p.Request)
					p.Check(t, &out)
					if p.Calls != nil {
						if diff := cmp.Diff(p.Calls, out.Calls); diff != "" {
							t.Error(diff)
						}
					}
					if failed := p.Want.Status == http.StatusInternalServerError; failed != (out.Err != nil) || failed && !strings.Contains(out.Err.Error(), "got boolean") {
						t.Errorf("Kong's own error: %v", out.Err)
					}
					if p.Name == cases.Rest {
						restEffects(t, k, out)
					}
				})
			}
		})
	}
}

// restEffects are what the calls beside the two usual ones leave behind.
func restEffects(t *testing.T, k *kongtest.Kong, out kongtest.Outcome) {
	t.Helper()
	want := kongtest.Caller{ConsumerID: "c", Username: "u", CustomID: "x", CredentialID: "k"}
	if out.Caller != want {
		t.Errorf("caller %+v, want %+v", out.Caller, want)
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
