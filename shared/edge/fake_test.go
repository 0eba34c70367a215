package edge

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "lkm_a-token-of-a-test"

// controlPlane is one that answers every fingerprint with a good record, until a
// test spoils one of its answers.
type controlPlane struct {
	*httptest.Server
	records, changes, heartbeat http.HandlerFunc
	usage                       http.HandlerFunc // nil: it has no such call

	asked, beats atomic.Int64 // fingerprints and heartbeats
	calls        atomic.Int64 // for records
	last         atomic.Pointer[wire.Heartbeat]
	events       chan []byte // for the one stream
}

func newControlPlane(t testing.TB, spoil func(*controlPlane)) *controlPlane {
	t.Helper()
	c := &controlPlane{events: make(chan []byte, 100)}
	c.records, c.changes, c.heartbeat = c.answerRecords, c.answerChanges, c.answerHeartbeat
	if spoil != nil {
		spoil(c)
	}
	mux := http.NewServeMux()
	calls := map[string]*http.HandlerFunc{wire.RecordsPath: &c.records, wire.ChangesPath: &c.changes, wire.HeartbeatPath: &c.heartbeat}
	if c.usage != nil {
		calls[wire.UsagePath] = &c.usage
	}
	for path, h := range calls {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+testToken || !wire.Speaks(r.Header) {
				t.Errorf("%s was called with %v", path, r.Header)
			}
			w.Header().Set(wire.Header, wire.Version)
			(*h)(w, r)
		})
	}
	c.Server = httptest.NewServer(mux)
	t.Cleanup(func() { c.CloseClientConnections(); c.Close() })
	return c
}

// goodRecord is a record that admits, as the control plane writes it.
func goodRecord(number int64) []byte {
	b, err := wire.EncodeRecord("e", &apikey.Record{
		Change: number, DependsOn: apikey.NewStrings("key_1"),
		Key:  apikey.Key{ID: "key_1", Environment: apikey.Live},
		User: apikey.User{ID: "usr_1"},
	})
	if err != nil {
		panic(err)
	}
	return b
}

func (c *controlPlane) answerRecords(w http.ResponseWriter, r *http.Request) {
	var request wire.RecordsRequest
	if err := json.UnmarshalRead(r.Body, &request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.calls.Add(1)
	var answer wire.RecordsAnswer
	for range request.Fingerprints {
		c.asked.Add(1)
		answer.Records = append(answer.Records, goodRecord(9))
	}
	_ = json.MarshalWrite(w, answer)
}

func (c *controlPlane) answerHeartbeat(w http.ResponseWriter, r *http.Request) {
	var h wire.Heartbeat
	if err := json.UnmarshalRead(r.Body, &h); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.beats.Add(1)
	c.last.Store(&h)
	w.WriteHeader(http.StatusNoContent)
}

// answerChanges resets to number 1 and then sends a head four times a second,
// and what the test wants sent.
func (c *controlPlane) answerChanges(w http.ResponseWriter, r *http.Request) {
	send := func(b []byte) {
		_, _ = w.Write(b)
		_ = http.NewResponseController(w).Flush()
	}
	head := wire.Head{Number: 1, Epoch: "e", Prefixes: []string{"lk"}}
	send(event(wire.EventReset, 0, head))
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		send(event(wire.EventHead, 0, head))
		select {
		case <-tick.C:
		case b := <-c.events:
			if b == nil {
				return
			}
			send(b)
			head.Number++
		case <-r.Context().Done():
			return
		}
	}
}

func event(name string, id int64, data any) []byte {
	b, err := wire.AppendEvent(nil, name, id, data)
	if err != nil {
		panic(err)
	}
	return b
}

// run runs an edge for the length of the test.
func run(t testing.TB, change func(*Config), urls ...string) *Edge {
	t.Helper()
	c := Config{
		Token: testToken, Gateway: "gateway", Version: "1", Now: time.Now,
		Validator: validator.Config{CacheMB: 1, StaleBudget: time.Minute, MissRate: 1e6, MissBurst: 1e6},
	}
	for i, u := range urls {
		if c.URLs += u; i < len(urls)-1 {
			c.URLs += " , "
		}
	}
	if change != nil {
		change(&c)
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return e
}

// judge asks about the n-th of any number of keys.
func judge(t testing.TB, e *Edge, n int) apikey.Code {
	t.Helper()
	v := e.Validator().Validate(t.Context(), &apikey.Request{Fingerprint: apikey.FingerprintOf(fmt.Sprint("key ", n)), Kind: apikey.KindAPI})
	return v.Code
}

func valueOf(t testing.TB, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue() + out.GetGauge().GetValue()
}

// gauge returns the one figure of a name.
func gauge(t testing.TB, c prometheus.Collector, name string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
