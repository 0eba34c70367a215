package edgeapi

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/shared/wire"
)

const (
	// ringSize is how many changes a listener may be behind before it is cut off.
	// A commit has 1,000 at most.
	ringSize = 8192
	// batchSize is how many changes a listener takes at once, so that the hub is
	// held for microseconds.
	batchSize = 256
	// headAge is how old a head may be when it is told.
	headAge = time.Second
	// headSpacing is the time between two heads at least; the follower hears of
	// one after every change.
	headSpacing = headAge / 2
)

// told is a change as it is written to every listener.
type told struct {
	number int64
	event  []byte
}

// Hub is a journal.Sink that hands the change log on to any number of listeners.
// It keeps the newest changes, encoded once, in a ring that all listeners read
// at their own pace; so a slow one costs nobody anything. Safe for concurrent
// use.
type Hub struct {
	now     func() time.Time
	metrics *metrics

	mu        sync.Mutex
	closed    bool
	era       uint64 // counts resets; 0: nothing was heard yet
	head      journal.Head
	heard     time.Time // when head was read from the primary
	beat      uint64    // counts the heads that are to be told
	beaten    time.Time
	ring      []told // of consecutive change rows, the oldest at ring[first]
	first     int
	low       int64 // the ring holds every change after this number ...
	position  int64 // ... up to this one
	listeners map[*listener]struct{}
}

// NewHub returns a hub. It starts nothing: a journal.Follower tells it.
func NewHub(now func() time.Time) *Hub {
	return &Hub{now: now, metrics: newMetrics(), listeners: map[*listener]struct{}{}}
}

// listener is one stream's place in the hub.
type listener struct {
	wake chan struct{} // one wake-up waits at most
	// The fields below are the stream's own.
	era  uint64
	at   int64 // everything up to this number was told
	beat uint64
}

// Reset implements journal.Sink.
func (h *Hub) Reset(head journal.Head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.era++
	h.head, h.heard = head, time.Time{}
	h.ring, h.first, h.low, h.position = nil, 0, head.Number, head.Number
	h.wake()
}

// Apply implements journal.Sink. It never waits for a listener.
func (h *Hub) Apply(c journal.Change) {
	event := encodeChange(c)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ring) < ringSize {
		h.ring = append(h.ring, told{c.Number, event})
	} else {
		h.low = h.ring[h.first].number
		h.ring[h.first] = told{c.Number, event}
		h.first = (h.first + 1) % ringSize
	}
	h.position = c.Number
	h.wake()
}

// Heard implements journal.Sink.
func (h *Hub) Heard(head journal.Head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if now.Sub(h.beaten) >= headSpacing || !slices.Equal(h.head.Prefixes, head.Prefixes) || h.heard.IsZero() {
		h.beat++
		h.beaten = now
	}
	h.head, h.heard, h.position = head, now, head.Number
	h.wake()
}

// Close ends every stream, so that a server can shut down, and lets no other
// begin.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.wake()
}

// wake lets every listener look. The caller holds the lock.
func (h *Hub) wake() {
	for l := range h.listeners {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// live reports whether there is any use in listening here: the follower reads
// the head about once a second.
func (h *Hub) live() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.closed && h.since() <= 2*headAge
}

// since is the time since the head was read. The caller holds the lock.
func (h *Hub) since() time.Duration {
	if h.heard.IsZero() {
		return math.MaxInt64
	}
	return h.now().Sub(h.heard)
}

// join adds a listener at a place in the log; one that means nothing here gets a
// reset first. behind: what comes after the place is not in the ring, and the
// listener reads the log before it goes on here.
func (h *Hub) join(p wire.Position) (l *listener, behind bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l = &listener{wake: make(chan struct{}, 1), era: h.era, at: p.After}
	l.wake <- struct{}{}
	h.listeners[l] = struct{}{}
	h.metrics.listeners.Set(float64(len(h.listeners)))
	switch {
	case p.Epoch != h.head.Epoch || h.era == 0:
		l.era = 0 // of no era: reset
	case p.After < h.low || p.After > h.position:
		return l, true
	}
	return l, false
}

func (h *Hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
	h.metrics.listeners.Set(float64(len(h.listeners)))
}

// news is what a listener is to be told next.
type news struct {
	reset   bool
	changes []told
	head    *journal.Head // with reset: the one to go on from
	more    bool          // there is more than this
	over    end           // the stream ends: why
}

// next takes what comes after the listener's place and moves it on.
func (h *Hub) next(l *listener) (n news) {
	h.mu.Lock()
	defer h.mu.Unlock()
	head := h.head
	switch {
	case h.closed:
		n.over = endClosed
		return n
	case l.era != h.era:
		l.era, l.at, l.beat = h.era, h.position, 0
		head.Number = h.position
		n.reset, n.head, n.more = true, &head, true
		return n
	case l.at < h.low:
		n.over = endSlow
		return n
	}
	h.metrics.behind(h.position - l.at)
	n.changes = h.after(l.at)
	if len(n.changes) > 0 {
		l.at = n.changes[len(n.changes)-1].number
	}
	if n.more = len(n.changes) == batchSize; n.more {
		return n
	}
	// Only one who was told everything hears of the head, and only of one that is
	// not behind what it heard from another replica.
	if h.beat != l.beat && h.since() <= headAge && head.Number >= l.at && head.Number == h.position {
		l.at, l.beat, n.head = head.Number, h.beat, &head
	}
	return n
}

// after returns up to batchSize changes after a number. The caller holds the
// lock.
func (h *Hub) after(number int64) []told {
	at := func(i int) told { return h.ring[(h.first+i)%len(h.ring)] }
	low, high := 0, len(h.ring)
	for low < high {
		if middle := (low + high) / 2; at(middle).number <= number {
			low = middle + 1
		} else {
			high = middle
		}
	}
	var out []told
	for i := low; i < len(h.ring) && len(out) < batchSize; i++ {
		out = append(out, at(i))
	}
	return out
}
