package cases

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/wire"
)

// EdgeToken is the management key that the control plane wants of gateways.
const EdgeToken = "lkm_an-edge-token-of-a-test"

// ControlPlane speaks the edge API for a table of records, on loopback. It is
// safe for concurrent use, but for Leave and Return.
type ControlPlane struct {
	t       testing.TB
	address string
	server  *httptest.Server
	mu      sync.Mutex
	records map[apikey.Fingerprint]apikey.Record
	spoil   atomic.Pointer[http.HandlerFunc]
	held    atomic.Pointer[chan struct{}]
}

// Serve starts a control plane that knows no keys. The test's end stops it.
func Serve(t testing.TB) *ControlPlane {
	t.Helper()
	c := &ControlPlane{t: t, address: "127.0.0.1:0", records: map[apikey.Fingerprint]apikey.Record{}}
	c.Return()
	c.address = c.server.Listener.Addr().String()
	t.Cleanup(func() { c.Leave() })
	return c
}

// URL is its address, which it keeps when it leaves and returns.
func (c *ControlPlane) URL() string { return "http://" + c.address }

// Leave makes it fall silent: nobody answers at its address.
func (c *ControlPlane) Leave() {
	c.server.Listener.Close() // first, or who is thrown out comes back
	c.server.CloseClientConnections()
	c.server.Close()
}

// Return makes it answer again, with the records that it had.
func (c *ControlPlane) Return() {
	c.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(c.t.Context(), "tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.RecordsPath, c.answerRecords)
	mux.HandleFunc("GET "+wire.ChangesPath, c.answerChanges)
	mux.HandleFunc("POST "+wire.HeartbeatPath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.Header, wire.Version)
		if r.Header.Get("Authorization") != "Bearer "+EdgeToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	c.server.Listener.Close()
	c.server.Listener = l
	c.server.Start()
}

// Know adds keys.
func (c *ControlPlane) Know(keys ...Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		c.records[apikey.FingerprintOf(k.Text)] = k.Record
	}
}

// Issue adds a key with the good record, changed, and returns its plain text.
func (c *ControlPlane) Issue(change func(*apikey.Record)) string {
	k := Issue(change)
	c.Know(k)
	return k.Text
}

// Spoil answers look-ups in another way from now on; nil is the right one.
func (c *ControlPlane) Spoil(answer http.HandlerFunc) {
	if answer == nil {
		c.spoil.Store(nil)
		return
	}
	c.spoil.Store(&answer)
}

// Hold lets no feed begin that is asked for from now on, until it is released.
func (c *ControlPlane) Hold() (release func()) {
	held := make(chan struct{})
	c.held.Store(&held)
	return func() {
		c.held.Store(nil)
		close(held)
	}
}

func (c *ControlPlane) answerRecords(w http.ResponseWriter, r *http.Request) {
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
	_ = json.MarshalWrite(w, answer) // the gateway may be gone
}

func (c *ControlPlane) answerChanges(w http.ResponseWriter, r *http.Request) {
	if held := c.held.Load(); held != nil {
		select {
		case <-*held:
		case <-r.Context().Done():
			return
		}
	}
	head := wire.Head{Number: 1, Epoch: "e", Prefixes: []string{"lk"}}
	name := wire.EventReset
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := wire.AppendEvent(nil, name, 0, head)
		if err != nil {
			return
		}
		_, _ = w.Write(b) // the gateway may be gone
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
