package edgeapi_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/api"
	"github.com/latchkey/latchkey/controlplane/internal/bootstrap"
	"github.com/latchkey/latchkey/controlplane/internal/caller"
	"github.com/latchkey/latchkey/controlplane/internal/edgeapi"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
	"github.com/latchkey/latchkey/controlplane/internal/records"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/meter"
	"github.com/latchkey/latchkey/shared/validator"
)

func TestMain(m *testing.M) { pgtest.Run(m) }

// replica is a control plane as the program wires it, but for its doors.
type replica struct {
	db    *postgres.DB
	keys  *keys.Service
	gates *gateways.Service
	hub   *edgeapi.Hub
	meter *meter.Meter
	reads *atomic.Int64 // of the change log, by the follower
	heard lastSink

	addr string
	stop func() // idempotent: ends it as a process ends
}

// countedLog counts reads.
type countedLog struct {
	*postgres.DB
	reads *atomic.Int64
}

type countedStream struct {
	journal.Stream
	reads *atomic.Int64
}

func (l countedLog) Open(ctx context.Context) (journal.Stream, error) {
	s, err := l.DB.Open(ctx)
	return countedStream{s, l.reads}, err
}

func (s countedStream) Read(ctx context.Context, after int64) (journal.Page, error) {
	s.reads.Add(1)
	return s.Stream.Read(ctx, after)
}

// options changes what a replica is made of.
type options func(*edgeapi.Options)

// start starts a replica on an address, ":0" for any.
func start(t testing.TB, dsn, addr string, change ...options) *replica {
	t.Helper()
	db := must[*postgres.DB](t)(postgres.Open(t.Context(), postgres.Options{DSN: dsn, Chain: journal.NewChain([32]byte{1}), MaxConns: 24}))
	peppers := must[*records.Peppers](t)(records.OpenPeppers(t.Context(),
		[]records.Pepper{{ID: "p1", Secret: []byte("a secret of at least thirty-two bytes")}}, db.Peppers()))
	must[apikey.Prefixes](t)(db.UsePrefix(t.Context(), "lk"))
	r := &replica{
		db: db, reads: new(atomic.Int64), hub: edgeapi.NewHub(time.Now), gates: gateways.New(db.Gateways(), time.Now), meter: meter.New(time.Now),
		keys: keys.New(keys.Config{
			Store: db.Keys(), Facts: keys.Facts{Owners: db.Users(), Plans: db.Plans(), Subscriptions: db.Subscriptions()},
			Digest: peppers, Prefix: "lk", Now: time.Now,
		}),
	}
	source := records.NewSource(db.Records(), peppers)
	judge := must[*validator.Validator](t)(validator.New(validator.Config{Source: source, Now: time.Now, CacheMB: 8, StaleBudget: time.Minute}))
	prefixes := func() apikey.Prefixes { return apikey.Prefixes{"lk"} }
	mux := http.NewServeMux()
	o := edgeapi.Options{
		Hub: r.hub, Source: source, Log: db, Gateways: r.gates, Meter: r.meter, Now: time.Now,
		Gate: caller.Gate{Judge: judge, Prefixes: prefixes},
	}
	for _, c := range change {
		c(&o)
	}
	edgeapi.Register(mux, o)
	api.New(mux, api.Config{
		Services: api.Services{Keys: r.keys, Gateways: r.gates}, Judge: judge, Setup: bootstrap.New(db.Bootstrap(), "lk", false),
		Prefixes: prefixes, Now: time.Now, Version: "test",
	})
	handler := web.Chain(mux, web.Options{
		Log: slog.New(slog.DiscardHandler), Metrics: web.NewMetrics(prometheus.NewRegistry()), Now: time.Now, MaxInFlight: 4096,
	})
	r.serve(t, addr, handler, journal.NewFollower(countedLog{db, r.reads}, func(error) {}, toValidator{judge}, r.hub, &r.heard))
	return r
}

func (r *replica) serve(t testing.TB, addr string, handler http.Handler, follower *journal.Follower) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	at := must[net.Listener](t)(new(net.ListenConfig).Listen(ctx, "tcp", addr))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: 30 * time.Second}
	server.RegisterOnShutdown(r.hub.Close)
	var running sync.WaitGroup
	running.Go(func() { follower.Run(ctx) })
	running.Go(func() { _ = server.Serve(at) })
	r.addr = at.Addr().String()
	r.stop = sync.OnceFunc(func() {
		closing, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		if err := server.Shutdown(closing); err != nil {
			t.Errorf("a stream outlives the shutdown: %v", err)
			_ = server.Close()
		}
		cancel()
		running.Wait()
		r.db.Close()
	})
	t.Cleanup(r.stop)
	eventually(t, "the replica hears of changes", func() bool { return r.heard.any.Load() })
}

// toValidator feeds the replica's own validator, as app does.
type toValidator struct{ v *validator.Validator }

func (s toValidator) Reset(h journal.Head) {
	s.v.Reset(validator.Head{Number: h.Number, Epoch: h.Epoch})
}
func (s toValidator) Heard(h journal.Head) {
	s.v.Heard(validator.Head{Number: h.Number, Epoch: h.Epoch})
}
func (s toValidator) Apply(c journal.Change) {
	s.v.Apply(validator.Change{Number: c.Number, IDs: c.IDs, Forget: c.Forget})
}

// lastSink tells that the sinks before it were told.
type lastSink struct{ any atomic.Bool }

func (*lastSink) Reset(journal.Head)   {}
func (*lastSink) Apply(journal.Change) {}
func (s *lastSink) Heard(journal.Head) { s.any.Store(true) }

func (r *replica) url() string { return "http://" + r.addr }

// token issues a management key.
func (r *replica) token(t testing.TB, scopes ...access.Scope) keys.Issued {
	t.Helper()
	n := keys.NewKey{Name: "edge", Kind: apikey.KindManagement}
	for _, s := range scopes {
		n.Scopes = append(n.Scopes, string(s))
	}
	return must[keys.Issued](t)(r.keys.Issue(t.Context(), access.CLI("test"), n))
}

func (r *replica) issue(t testing.TB) keys.Issued {
	t.Helper()
	return must[keys.Issued](t)(r.keys.Issue(t.Context(), access.CLI("test"), keys.NewKey{Name: "ci"}))
}

// call sends a request with a bearer and decodes the answer into out.
func (r *replica) call(t testing.TB, method, path, bearer, body string, out any) *http.Response {
	t.Helper()
	request := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), method, r.url()+path, strings.NewReader(body)))
	if body == "" {
		request.Body = nil
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Latchkey-Edge", "1")
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	response := must[*http.Response](t)(http.DefaultClient.Do(request))
	defer response.Body.Close()
	text := must[[]byte](t)(io.ReadAll(response.Body))
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return response
}

// metric returns the sum of a collector's counters and gauges of a name, of one
// label's value where it is given.
func metric(t testing.TB, c prometheus.Collector, name, label string) (sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	for _, family := range must[[]*dto.MetricFamily](t)(registry.Gather()) {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// eventually polls until ok, and fails after 20 seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
