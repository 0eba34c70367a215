package main_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What Kong reads at its start: a change here changes what operators may write
// into kong.yml.
func TestDumpIsGolden(t *testing.T) {
	t.Parallel()
	k := startWith(t, nil)
	var got bytes.Buffer
	if err := json.Indent(&got, bytes.ReplaceAll(k.Dump().Raw, []byte(k.Socket()), []byte("latchkey-auth.socket")), "", "  "); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/dump.golden.json"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%v; -dump prints now:\n%s", err, &got)
	}
}

// wantFault is what a client sees of every fault of ours.
func wantFault(t *testing.T, out kongtest.Outcome) {
	t.Helper()
	if out.Allowed || out.Status != 500 || out.Err != nil || out.Replays != 0 ||
		!strings.Contains(string(out.Body), `"code":"INTERNAL"`) || out.Headers.Get("Content-Type") != "application/problem+json" ||
		out.Headers.Get("Cache-Control") != "no-store" {
		t.Errorf("%+v %s", out, out.Body)
	}
}

func TestJudgeThatFails(t *testing.T) {
	t.Parallel()
	k := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, "./testdata/judge", "latchkey-judge")})
	pid := k.Pid()
	r := k.Route(scoped)
	key := apikey.NewSecret("lk", apikey.KindAPI, apikey.Live).Reveal()
	send := func(path string) kongtest.Outcome {
		return access(t, r, kongtest.Request{Path: path, Headers: h("X-API-Key", key)})
	}
	for _, path := range []string{"/panic", "/nil", "/panic"} {
		wantFault(t, send(path))
	}
	for _, path := range []string{"/unknown", "/zero"} {
		if out := send(path); out.Allowed || out.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %+v", path, out)
		}
	}
	if out := send("/"); !out.Allowed {
		t.Errorf("afterwards: %+v", out)
	}
	if k.Pid() != pid || len(logged(k, "panic")) == 0 || len(logged(k, "lk_live")) != 0 {
		t.Errorf("process %d, was %d; log %q", k.Pid(), pid, k.Logs())
	}
}

func TestWrongPolicy(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	good := k.Route(scoped)
	wrong := k.Route(map[string]any{
		"key_names": []string{"Cookie"}, "scopes": []string{"NO"}, "environment": "staging", "realm": `a"b`,
	})
	req := kongtest.Request{Headers: h("X-API-Key", c.issue(nil))}
	for range 3 {
		wantFault(t, access(t, wrong, req))
	}
	lines := logged(k, "every request gets 500")
	if len(lines) != 1 || strings.Contains(lines[0], "\n") {
		t.Fatalf("%q, want one line", lines)
	}
	for _, field := range []string{"key_names: ", "scopes: ", "environment: ", "realm: "} {
		if !strings.Contains(lines[0], field) {
			t.Errorf("%q does not name %s", lines[0], field)
		}
	}
	if out := access(t, good, req); !out.Allowed {
		t.Errorf("another route: %+v", out)
	}
}

func TestWrongProcessConfiguration(t *testing.T) {
	t.Parallel()
	k := startWith(t, map[string]string{"LATCHKEY_URL": "http://keys.example.com", "AUTH_CACHE_MB": "lots"})
	pid := k.Pid()
	r := k.Route(scoped)
	for range 3 {
		wantFault(t, access(t, r, kongtest.Request{Headers: h("X-API-Key", "x")}))
	}
	lines := logged(k, "every request gets 500")
	if len(lines) != 1 || k.Pid() != pid {
		t.Fatalf("%q, want one line; process %d, was %d", lines, k.Pid(), pid)
	}
	for _, name := range []string{"LATCHKEY_URL: want https", "AUTH_CACHE_MB: ", "LATCHKEY_EDGE_TOKEN: "} {
		if !strings.Contains(lines[0], name) {
			t.Errorf("%q does not name %s", lines[0], name)
		}
	}
}

// Until the control plane is there everything that might be a key is 503; then
// keys pass, without a restart.
func TestControlPlaneComesLater(t *testing.T) {
	t.Parallel()
	c := newControlPlane(t, "")
	address, key := c.Listener.Addr().String(), c.issue(nil)
	c.Close()
	token := t.TempDir() + "/token"
	k := startWith(t, map[string]string{"LATCHKEY_URL": "http://" + address, "LATCHKEY_EDGE_TOKEN_FILE": token})
	r := k.Route(scoped)
	for _, headers := range []kongtest.Headers{h("X-API-Key", key), h("X-API-Key", "x"), h("Authorization", "Bearer "+key)} {
		out := access(t, r, kongtest.Request{Headers: headers})
		if out.Allowed || out.Status != 503 || out.Headers.Get("Retry-After") != "1" || !strings.Contains(string(out.Body), "UNDECIDED") {
			t.Errorf("without a control plane: %+v %s", out, out.Body)
		}
	}
	if out := access(t, r, kongtest.Request{}); out.Status != 401 {
		t.Errorf("no key, without a control plane: %+v", out)
	}
	eventually(t, "Kong's log says why", func() bool {
		access(t, r, kongtest.Request{Headers: h("X-API-Key", key)})
		return len(logged(k, "requests get 503, for the control plane cannot be followed")) > 0
	})
	later := newControlPlane(t, address)
	later.records = c.records
	if err := os.WriteFile(token, []byte(edgeToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key passes", func() bool {
		return access(t, r, kongtest.Request{Headers: h("X-API-Key", key)}).Allowed
	})
	if n := len(logged(k, "cannot be followed")); n != 1 {
		t.Errorf("%d lines about one outage", n)
	}
}

// A control plane that answers look-ups badly, or not at all, costs a request
// its half second at most, and admits nobody.
func TestControlPlaneThatAnswersBadly(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	r := k.Route(scoped)
	cached := c.issue(nil)
	if out := access(t, r, kongtest.Request{Headers: h("X-API-Key", cached)}); !out.Allowed {
		t.Fatalf("%+v", out)
	}
	for name, spoil := range map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client left
			<-r.Context().Done()
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("\xff\x00{")) },
		"half a body": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"records":[{"v":1,"found":true,`))
		},
		"no records": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"records":[]}`)) },
		"null":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"records":[null]}`)) },
		"500":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		c.spoil.Store(&spoil)
		began := time.Now()
		out := access(t, r, kongtest.Request{Headers: h("X-API-Key", c.issue(nil))})
		if took := time.Since(began); out.Allowed || out.Status != 503 || out.Headers.Get("Retry-After") == "" || took > 5*time.Second {
			t.Errorf("%s: after %v %+v", name, took, out)
		}
		if out := access(t, r, kongtest.Request{Headers: h("X-API-Key", cached)}); !out.Allowed || len(out.Calls) != 2 {
			t.Errorf("%s, a cached key: %+v", name, out)
		}
	}
	c.spoil.Store(nil)
	eventually(t, "a new key passes", func() bool {
		return access(t, r, kongtest.Request{Headers: h("X-API-Key", c.issue(nil))}).Allowed
	})
}

// The configuration comes from a file, for Kong gives its plugins no environment.
func TestConfigurationFromAFileAndMetrics(t *testing.T) {
	t.Parallel()
	c := newControlPlane(t, "")
	file := t.TempDir() + "/gateway.env"
	metrics := freeAddress(t)
	text := "# the gateway\nLATCHKEY_URL=" + c.URL + "\nexport LATCHKEY_EDGE_TOKEN='" + edgeToken + "'\nLATCHKEY_METRICS_LISTEN=" + metrics + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := startWith(t, map[string]string{"LATCHKEY_CONFIG": file})
	await(t, k, http.StatusUnauthorized)
	if out := access(t, k.Route(scoped), kongtest.Request{Headers: h("X-API-Key", c.issue(nil))}); !out.Allowed {
		t.Errorf("%+v", out)
	}
	if status, body := get(t, "http://"+metrics+"/metrics"); status != 200 || !strings.Contains(body, "latchkey_") || strings.Contains(body, "key_1") {
		t.Errorf("/metrics: %d %s", status, body)
	}
	if status, _ := get(t, "http://"+metrics+"/healthz"); status != http.StatusNoContent {
		t.Errorf("/healthz: %d", status)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}
