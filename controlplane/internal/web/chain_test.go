package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// logBuffer collects log lines of concurrent requests.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// serve runs the chain around a mux over real connections.
func serve(t *testing.T, mux *http.ServeMux, change func(*Options)) (*httptest.Server, *logBuffer) {
	t.Helper()
	log := new(logBuffer)
	o := Options{
		Log: slog.New(slog.NewJSONHandler(log, nil)), Metrics: NewMetrics(prometheus.NewRegistry()),
		Now: time.Now, MaxInFlight: 100, PublicURL: "https://keys.example.com",
	}
	if change != nil {
		change(&o)
	}
	s := httptest.NewServer(Chain(mux, o))
	t.Cleanup(s.Close)
	return s, log
}

func send(t *testing.T, method, url string, header http.Header) (*http.Response, Problem) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p Problem
	if response.Header.Get("Content-Type") == ProblemType && method != http.MethodHead {
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	}
	return response, p
}

func TestProblems(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	for path, err := range map[string]error{
		"/fault":    fault.Wrap(errors.New("cause-in-log"), fault.Conflict, "it is so").WithFix("do that"),
		"/owncode":  fault.New(fault.Conflict, "too many").WithCode("UNHEARD_OF"),
		"/fields":   &fault.Error{Kind: fault.Invalid, Code: fault.CodeInvalid, Message: "1 value is not acceptable", Fields: []fault.Field{{Location: "body.name", Message: "want a text"}}},
		"/foreign":  errors.New("cause-in-log: password"),
		"/internal": fault.Wrap(errors.New("cause-in-log"), fault.Internal, "secret detail"),
		"/wrapped":  fmt.Errorf("outer: %w", fault.New(fault.NotFound, "no such key")),
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { WriteProblem(w, r, ProblemOf(err)) })
	}
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("cause-in-log") })
	s, log := serve(t, mux, nil)
	tests := map[string]struct {
		method, path string
		want         Problem
		allow        string
	}{
		"fault":        {"GET", "/fault", Problem{Status: 409, Code: "CONFLICT", Detail: "it is so", Fix: "do that"}, ""},
		"own code":     {"GET", "/owncode", Problem{Status: 409, Code: "UNHEARD_OF", Detail: "too many"}, ""},
		"fields":       {"GET", "/fields", Problem{Status: 422, Code: "INVALID_VALUE", Detail: "1 value is not acceptable", Errors: []FieldError{{"body.name", "want a text"}}}, ""},
		"foreign":      {"GET", "/foreign", Problem{Status: 500, Code: "INTERNAL", Detail: byCode["INTERNAL"].Detail}, ""},
		"internal":     {"GET", "/internal", Problem{Status: 500, Code: "INTERNAL", Detail: byCode["INTERNAL"].Detail}, ""},
		"wrapped":      {"GET", "/wrapped", Problem{Status: 404, Code: "NOT_FOUND", Detail: "no such key"}, ""},
		"panic":        {"GET", "/panic", Problem{Status: 500, Code: "INTERNAL", Detail: byCode["INTERNAL"].Detail}, ""},
		"no route":     {"GET", "/nothing", Problem{Status: 404, Code: "NOT_FOUND", Detail: byCode["NOT_FOUND"].Detail}, ""},
		"other method": {"POST", "/fault", Problem{Status: 405, Code: "METHOD_NOT_SUPPORTED", Detail: byCode["METHOD_NOT_SUPPORTED"].Detail}, "GET, HEAD"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response, got := send(t, test.method, s.URL+test.path, nil)
			if response.StatusCode != test.want.Status || response.Header.Get("Allow") != test.allow {
				t.Errorf("status %d, Allow %q", response.StatusCode, response.Header.Get("Allow"))
			}
			if got.RequestID != response.Header.Get("X-Request-Id") || len(got.RequestID) != 26 || got.Title == "" ||
				got.Type != "https://keys.example.com/docs/errors/"+got.Code.Slug() {
				t.Errorf("id, type or title is off: %+v", got)
			}
			got.RequestID, got.Type, got.Title = "", "", ""
			if test.want.Fix == "" {
				got.Fix = ""
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(Problem{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	if n := strings.Count(log.String(), "cause-in-log"); n != 4 {
		t.Errorf("want each of 4 causes in the log once, got %d:\n%s", n, log.String())
	}
	for line := range strings.Lines(log.String()) { // only what went wrong here raises an alarm
		if strings.Contains(line, `"level":"ERROR"`) != strings.Contains(line, `"status":500`) {
			t.Errorf("the level is off: %s", line)
		}
	}
}

func TestWideLine(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, r *http.Request) {
		ctx := WithCaller(r.Context(), access.Caller{Actor: access.Actor{Kind: access.ActorKey, ID: "key_1"}})
		LineOf(ctx).KeyID, LineOf(ctx).Code = "key_2", "VALID"
		LineOf(ctx).Add(slog.Bool("hit", true))
		w.WriteHeader(http.StatusCreated)
	})
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	now := time.Unix(0, 0)
	s, log := serve(t, mux, func(o *Options) {
		o.Now = func() time.Time { now = now.Add(time.Millisecond); return now }
	})
	send(t, "GET", s.URL+"/healthz", nil)
	response, _ := send(t, "GET", s.URL+"/things/7?secret="+key, http.Header{"Authorization": {"Bearer " + key}})
	var got map[string]any
	if err := json.Unmarshal([]byte(log.String()), &got); err != nil {
		t.Fatalf("want one line, got %q: %v", log.String(), err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "request", "method": "GET", "route": "/things/{id}", "status": 201.0, "us": 1000.0,
		"request_id": response.Header.Get("X-Request-Id"), "caller": "key:key_1", "key_id": "key_2", "code": "VALID", "hit": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, p := send(t, strings.ToUpper(key), s.URL+"/"+key, nil); p.Status != http.StatusNotFound {
		t.Errorf("status %d", p.Status)
	}
	if text := strings.ToLower(log.String()); strings.Contains(text, strings.ToLower(key)) {
		t.Errorf("a key came into the log: %s", text)
	}
}

func TestInFlightBound(t *testing.T) {
	t.Parallel()
	release, entered := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /slow", func(http.ResponseWriter, *http.Request) { close(entered); <-release })
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	s, _ := serve(t, mux, func(o *Options) { o.MaxInFlight = 1 })
	var first sync.WaitGroup
	first.Go(func() { send(t, "GET", s.URL+"/slow", nil) })
	<-entered
	if response, p := send(t, "GET", s.URL+"/other", nil); p.Code != CodeOverloaded || response.Header.Get("Retry-After") == "" {
		t.Errorf("want OVERLOADED with Retry-After, got %+v", p)
	}
	if response, _ := send(t, "GET", s.URL+"/healthz", nil); response.StatusCode != http.StatusOK {
		t.Error("a probe was turned away")
	}
	close(release)
	first.Wait()
	if _, p := send(t, "GET", s.URL+"/other", nil); p.Code != "NOT_FOUND" {
		t.Errorf("the place was not given back: %+v", p)
	}
}

func TestPanicAfterTheFirstByteCutsTheConnection(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic("x")
	})
	s, log := serve(t, mux, nil)
	response, err := http.Get(s.URL + "/half")
	if err == nil {
		defer response.Body.Close()
		if _, err = io.ReadAll(response.Body); err == nil {
			t.Error("half an answer looked whole")
		}
	}
	s.Close() // waits for the handler
	if !strings.Contains(log.String(), `"cause":"panic: x"`) {
		t.Errorf("the panic is not in the log: %s", log.String())
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	tests := map[string]struct {
		trusted []netip.Prefix
		sent    []string
		kept    bool
	}{
		"from a proxy":     {loopback, []string{"0190c2f5-7d3a-7c3e-8f5a-2b6d1c9e4a70"}, true},
		"from anyone else": {nil, []string{"0190c2f5-7d3a-7c3e-8f5a-2b6d1c9e4a70"}, false},
		"a key":            {loopback, []string{key}, false},
		"not well-formed":  {loopback, []string{"has spaces in it"}, false},
		"two":              {loopback, []string{"aaaaaaaa", "bbbbbbbb"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, http.NewServeMux(), func(o *Options) { o.TrustedProxies = test.trusted })
			response, _ := send(t, "GET", s.URL, http.Header{"X-Request-Id": test.sent})
			if id := response.Header.Get("X-Request-Id"); (id == test.sent[0]) != test.kept || id == "" {
				t.Errorf("got %q", id)
			}
		})
	}
}

func TestCORSAndSecurityHeaders(t *testing.T) {
	t.Parallel()
	origin := http.Header{"Origin": {"https://app.example.com"}}
	closed, _ := serve(t, http.NewServeMux(), nil)
	response, _ := send(t, "GET", closed.URL, origin)
	if got := response.Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("without CORS_ORIGINS everyone is let in: %q", got)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store",
	} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	open, _ := serve(t, http.NewServeMux(), func(o *Options) { o.CORSOrigins = []string{"https://app.example.com"} })
	preflight := http.Header{
		"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {"PATCH"},
		"Access-Control-Request-Headers": {"authorization,content-type"},
	}
	response, _ = send(t, "OPTIONS", open.URL, preflight)
	if response.StatusCode != http.StatusNoContent || response.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		response.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", response.StatusCode, response.Header)
	}
	response, _ = send(t, "GET", open.URL, http.Header{"Origin": {"https://evil.example"}})
	if got := response.Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("a foreign origin is let in: %q", got)
	}
}
