package main_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/wire"
)

const edgeToken = "lkm_an-edge-token-of-a-test"

// controlPlane speaks the edge API for a map of records.
type controlPlane struct {
	*httptest.Server
	mu      sync.Mutex
	records map[apikey.Fingerprint]apikey.Record
	asked   atomic.Int64 // fingerprints
	// spoil, where set, answers look-ups in its own way.
	spoil atomic.Pointer[http.HandlerFunc]
}

// newControlPlane listens on an address; "" is one of its own.
func newControlPlane(t testing.TB, address string) *controlPlane {
	t.Helper()
	c := &controlPlane{records: map[apikey.Fingerprint]apikey.Record{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.RecordsPath, c.answerRecords)
	mux.HandleFunc("GET "+wire.ChangesPath, c.answerChanges)
	mux.HandleFunc("POST "+wire.HeartbeatPath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.Header, wire.Version)
		if r.Header.Get("Authorization") != "Bearer "+edgeToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	if address != "" {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.Listener.Close()
		c.Listener = l
	}
	c.Start()
	t.Cleanup(func() { c.CloseClientConnections(); c.Close() })
	return c
}

func (c *controlPlane) answerRecords(w http.ResponseWriter, r *http.Request) {
	if spoil := c.spoil.Load(); spoil != nil {
		(*spoil)(w, r)
		return
	}
	var request wire.RecordsRequest
	if err := json.UnmarshalRead(r.Body, &request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var answer wire.RecordsAnswer
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range request.Fingerprints {
		c.asked.Add(1)
		encoded, err := wire.EncodeNone("e", 1)
		if record, found := c.records[apikey.Fingerprint(f)]; found {
			encoded, err = wire.EncodeRecord("e", &record)
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		answer.Records = append(answer.Records, encoded)
	}
	_ = json.MarshalWrite(w, answer)
}

func (c *controlPlane) answerChanges(w http.ResponseWriter, r *http.Request) {
	head := wire.Head{Number: 1, Epoch: "e", Prefixes: []string{"lk"}}
	name := wire.EventReset
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := wire.AppendEvent(nil, name, 0, head)
		if err != nil {
			return
		}
		_, _ = w.Write(b)
		_ = http.NewResponseController(w).Flush()
		if name == wire.EventReset {
			name = wire.EventHead
			continue
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// goodRecord is the record of a key that passes.
func goodRecord() apikey.Record {
	return apikey.Record{
		Change: 1, DependsOn: apikey.NewStrings("key_1", "usr_1"),
		Key: apikey.Key{
			ID: "key_1", Name: "worker", Environment: apikey.Live,
			Scopes: apikey.NewStrings("reports:read", "reports:write"),
		},
		User:         apikey.User{ID: "usr_1", Name: "Ada", ExternalID: "customer-7"},
		Subscription: apikey.Subscription{ID: "sub_1", PlanID: "pln_1", Plan: "pro"},
	}
}

// issue makes a key with the good record, changed, and returns its plain text.
func (c *controlPlane) issue(change func(*apikey.Record)) string {
	r := goodRecord()
	if change != nil {
		change(&r)
	}
	secret := apikey.NewSecret("lk", apikey.KindAPI, apikey.Live)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records[secret.Fingerprint()] = r
	return secret.Reveal()
}

// scoped is a policy without the hint that a route without scopes costs.
var scoped = map[string]any{"scopes": []string{"reports:read"}}

// start runs the plugin under Kong with a control plane of its own, and waits
// until the two know each other.
func start(t testing.TB) (*kongtest.Kong, *controlPlane) {
	t.Helper()
	c := newControlPlane(t, "")
	k := startWith(t, environment(c.URL))
	await(t, k, http.StatusUnauthorized)
	return k, c
}

func startWith(t testing.TB, env map[string]string) *kongtest.Kong {
	t.Helper()
	return kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, ".", "latchkey-auth"), Env: env})
}

func environment(url string) map[string]string {
	return map[string]string{"LATCHKEY_URL": url, "LATCHKEY_EDGE_TOKEN": edgeToken, "AUTH_CACHE_MB": "8"}
}

// await waits until a request with what is no key gets a status.
func await(t testing.TB, k *kongtest.Kong, status int) {
	t.Helper()
	route := k.Route(scoped)
	eventually(t, fmt.Sprint("the status is ", status), func() bool {
		return access(t, route, kongtest.Request{Headers: h("X-API-Key", "none")}).Status == status
	})
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

func access(t testing.TB, r *kongtest.Route, req kongtest.Request) kongtest.Outcome {
	t.Helper()
	out, err := r.Access(t.Context(), req)
	if err != nil {
		t.Fatalf("Access: %v", err)
	}
	return out
}

// h makes headers of names and values in turn.
func h(pairs ...string) (out kongtest.Headers) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, kongtest.Header{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

// logged returns the lines of Kong's log, of a level that operators see, that
// hold a text.
func logged(k *kongtest.Kong, part string) (lines []string) {
	for _, l := range k.Logs() {
		if l.Level != "info" && strings.Contains(l.Text, part) {
			lines = append(lines, l.Level+": "+l.Text)
		}
	}
	return lines
}
