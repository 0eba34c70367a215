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

	"github.com/latchkey/latchkey/kong/cases"
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
	fault := cases.Case{}
	fault.Check(t, &out)
}

func TestJudgeThatFails(t *testing.T) {
	t.Parallel()
	k := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, "./testdata/judge", "latchkey-judge")})
	pid := k.Pid()
	r := k.Route(cases.Scoped())
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

func TestWrongProcessConfiguration(t *testing.T) {
	t.Parallel()
	k := startWith(t, map[string]string{"LATCHKEY_URL": "http://keys.example.com", "AUTH_CACHE_MB": "lots"})
	pid := k.Pid()
	r := k.Route(t, cases.Scoped())
	for range 3 {
		wantFault(t, access(t, r, kongtest.Request{Headers: h("X-API-Key", "x")}))
	}
	lines := logged(k.Kong, "every request gets 500")
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
	c := cases.Serve(t)
	key := c.Issue(nil)
	c.Leave()
	token := t.TempDir() + "/token"
	k := startWith(t, map[string]string{"LATCHKEY_URL": c.URL(), "LATCHKEY_EDGE_TOKEN_FILE": token})
	r := k.Route(t, cases.Scoped())
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
		return len(logged(k.Kong, "requests get 503, for the control plane cannot be followed")) > 0
	})
	c.Return()
	if err := os.WriteFile(token, []byte(cases.EdgeToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key passes", func() bool {
		return access(t, r, kongtest.Request{Headers: h("X-API-Key", key)}).Allowed
	})
	if n := len(logged(k.Kong, "cannot be followed")); n != 1 {
		t.Errorf("%d lines about one outage", n)
	}
}

// The first requests of a gateway wait for its control plane's first word, as long
// as for a look-up: nobody gets 503 for having come early.
func TestFirstRequestWaitsForTheFeed(t *testing.T) {
	t.Parallel()
	c := cases.Serve(t)
	req := kongtest.Request{Headers: h("X-API-Key", c.Issue(nil))}
	release := c.Hold()
	k := startWith(t, environment(c.URL()))
	timer := time.AfterFunc(100*time.Millisecond, release)
	defer timer.Stop()
	if out := k.Ask(t, cases.Scoped(), req); !out.Allowed {
		t.Errorf("%+v %s", out, out.Body)
	}
}

func TestFeedThatNeverBegins(t *testing.T) {
	t.Parallel()
	c := cases.Serve(t)
	req := kongtest.Request{Headers: h("X-API-Key", c.Issue(nil))}
	c.Hold()
	k := startWith(t, environment(c.URL()))
	began := time.Now()
	out := k.Ask(t, cases.Scoped(), req)
	if took := time.Since(began); out.Status != http.StatusServiceUnavailable || took > 5*time.Second {
		t.Errorf("after %v: %+v %s", took, out, out.Body)
	}
}

// The configuration comes from a file, for Kong gives its plugins no environment.
func TestConfigurationFromAFileAndMetrics(t *testing.T) {
	t.Parallel()
	c := cases.Serve(t)
	file := t.TempDir() + "/gateway.env"
	metrics := freeAddress(t)
	text := "# the gateway\nLATCHKEY_URL=" + c.URL() + "\nexport LATCHKEY_EDGE_TOKEN='" + cases.EdgeToken + "'\nLATCHKEY_METRICS_LISTEN=" + metrics + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := startWith(t, map[string]string{"LATCHKEY_CONFIG": file})
	cases.Ready(t, k)
	if out := access(t, k.Route(t, cases.Scoped()), kongtest.Request{Headers: h("X-API-Key", c.Issue(nil))}); !out.Allowed {
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
