package doors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/validator"
)

// ledger is a validator.Source over a map.
type ledger struct {
	mu    sync.Mutex
	all   map[apikey.Fingerprint]apikey.Record
	asked atomic.Int64
	down  atomic.Bool
}

func (s *ledger) Lookup(_ context.Context, f apikey.Fingerprint) (validator.Answer, error) {
	s.asked.Add(1)
	if s.down.Load() {
		return validator.Answer{}, errors.New("the database is away")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, found := s.all[f]
	r.Change = 1
	return validator.Answer{Found: found, Epoch: "e", Record: r}, nil
}

// door is the whole way of a request: chain, door, validator, source.
type door struct {
	source   *ledger
	server   *httptest.Server
	registry *prometheus.Registry
	log      *lines
}

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newDoor makes the handler as the app package does.
func newDoor(tb testing.TB, log io.Writer) (*ledger, *prometheus.Registry, http.Handler) {
	tb.Helper()
	source := &ledger{all: map[apikey.Fingerprint]apikey.Record{}}
	v, err := validator.New(validator.Config{Source: source, Now: time.Now, CacheMB: 16, StaleBudget: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	v.Reset(validator.Head{Number: 1, Epoch: "e"})
	v.Heard(validator.Head{Number: 1, Epoch: "e"})
	registry, mux := prometheus.NewRegistry(), http.NewServeMux()
	Register(mux, Options{Judge: v, Prefixes: func() apikey.Prefixes { return apikey.Prefixes{"lk"} }, Registry: registry, Now: time.Now,
		Guard: func(next http.Handler) http.Handler { return next }})
	return source, registry, web.Chain(mux, web.Options{
		Log: slog.New(slog.NewJSONHandler(log, nil)), Metrics: web.NewMetrics(registry), Now: time.Now,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxInFlight: 1024,
	})
}

func open(t *testing.T) *door {
	t.Helper()
	d := &door{log: new(lines)}
	source, registry, handler := newDoor(t, d.log)
	d.source, d.registry = source, registry
	d.server = httptest.NewServer(handler)
	t.Cleanup(d.server.Close)
	return d
}

// add makes a key with the usual record, changed, and returns its plain text.
func (s *ledger) add(kind apikey.Kind, change func(*apikey.Record)) string {
	env := apikey.Live
	if kind == apikey.KindManagement {
		env = apikey.AnyEnvironment
	}
	secret := apikey.NewSecret("lk", kind, env)
	r := apikey.Record{
		DependsOn: apikey.NewStrings("key_1", "usr_1", "sub_1", "pln_1"),
		Key: apikey.Key{
			ID: "key_1", Name: "worker", Kind: kind, Environment: env,
			Scopes: apikey.NewStrings("reports:read", "reports:write"),
		},
		User:         apikey.User{ID: "usr_1", Name: "Ada"},
		Subscription: apikey.Subscription{ID: "sub_1", PlanID: "pln_1", Plan: "pro"},
	}
	if change != nil {
		change(&r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[secret.Fingerprint()] = r
	return secret.Reveal()
}

func (d *door) add(kind apikey.Kind, change func(*apikey.Record)) string {
	return d.source.add(kind, change)
}

type answer struct {
	status  int
	header  http.Header
	text    string
	body    map[string]any
	problem web.Problem
}

// post sends a body; header replaces what is usually sent.
func (d *door) post(t *testing.T, body string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.server.URL+authPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Content-Type"] = []string{"application/json"}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: response.StatusCode, header: response.Header, text: string(text)}
	if err := json.Unmarshal(text, &got.body); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if err := json.Unmarshal(text, &got.problem); err != nil {
		t.Fatal(err)
	}
	return got
}

// neverRepeats looks for a key in an answer, its headers, the log and the
// metrics: whole, and its last twenty characters.
func (d *door) neverRepeats(t *testing.T, secret string, got answer) {
	t.Helper()
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	all.WriteString(got.text + d.log.String())
	if err := got.header.Write(&all); err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		all.WriteString(f.String())
	}
	for _, key := range []string{secret, exampleKey} {
		if strings.Contains(all.String(), key[len(key)-20:]) || strings.Contains(all.String(), apikey.FingerprintOf(key).String()) {
			t.Errorf("a key was repeated: %s", all.String())
		}
	}
}
