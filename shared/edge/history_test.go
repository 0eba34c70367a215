package edge

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/wire"
)

// history is a control plane with a log: it resumes, resets, and hears what
// gateways confirm. Every key is the same one, key_1, until it is revoked.
type history struct {
	mu      sync.Mutex
	epoch   string
	number  int64
	changes map[int64]wire.Change
	revoked bool
	places  []wire.Position // at which streams were opened
	beats   []wire.Heartbeat
}

func newHistory() *history {
	return &history{epoch: "e", number: 9, changes: map[int64]wire.Change{}}
}

// serve makes a fake control plane of it.
func (h *history) serve(t testing.TB) *controlPlane {
	return newControlPlane(t, func(c *controlPlane) {
		c.changes, c.heartbeat = h.answerChanges, h.answerHeartbeat
		c.records = func(w http.ResponseWriter, r *http.Request) { h.answerRecords(c, w, r) }
	})
}

// revoke revokes the key and returns the change's number.
func (h *history) revoke() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.number++
	h.revoked, h.changes[h.number] = true, wire.Change{IDs: []string{"key_1"}, Kind: wire.Forget, Ack: true}
	return h.number
}

// restore replaces everything by a backup in which the key is revoked.
func (h *history) restore() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch, h.revoked = "f", true
}

func (h *history) answerChanges(w http.ResponseWriter, r *http.Request) {
	_, place, err := wire.ParseChangesQuery(r.URL.Query())
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	h.places = append(h.places, place)
	h.mu.Unlock()
	for r.Context().Err() == nil {
		var out []byte
		h.mu.Lock()
		head := wire.Head{Number: h.number, Epoch: h.epoch, Prefixes: []string{"lk"}}
		if place.Epoch != h.epoch {
			out = event(wire.EventReset, 0, head)
			place = wire.Position{After: h.number, Epoch: h.epoch}
		}
		for n := place.After + 1; n <= h.number; n++ {
			out = append(out, event(wire.EventChange, n, h.changes[n])...)
		}
		place.After = h.number
		h.mu.Unlock()
		_, _ = w.Write(append(out, event(wire.EventHead, 0, head)...))
		_ = http.NewResponseController(w).Flush()
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *history) answerHeartbeat(w http.ResponseWriter, r *http.Request) {
	var beat wire.Heartbeat
	if err := json.UnmarshalRead(r.Body, &beat); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beats = append(h.beats, beat)
	w.WriteHeader(http.StatusNoContent)
}

func (h *history) answerRecords(c *controlPlane, w http.ResponseWriter, r *http.Request) {
	var request wire.RecordsRequest
	if err := json.UnmarshalRead(r.Body, &request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	b, err := wire.EncodeRecord(h.epoch, &apikey.Record{
		Change: h.number, DependsOn: apikey.NewStrings("key_1"),
		Key:  apikey.Key{ID: "key_1", Environment: apikey.Live, Disabled: h.revoked},
		User: apikey.User{ID: "usr_1"},
	})
	if err != nil {
		panic(err)
	}
	var answer wire.RecordsAnswer
	for range request.Fingerprints {
		c.asked.Add(1)
		answer.Records = append(answer.Records, b)
	}
	_ = json.MarshalWrite(w, answer)
}

// confirmed reports whether a change was, by a process that still counts.
func (h *history) confirmed(change int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.beats, func(b wire.Heartbeat) bool { return !b.Leaving && b.After >= change })
}

// left returns the processes that said goodbye.
func (h *history) left() (gone []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.beats {
		if b.Leaving {
			gone = append(gone, b.Instance)
		}
	}
	return gone
}

// opened returns the places at which streams were opened.
func (h *history) opened() []wire.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.places)
}
