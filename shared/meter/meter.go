package meter

import (
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

const (
	// Resolution is how often a key is handed on at most, and how often a door
	// to which that costs something is asked for the client's address.
	Resolution = time.Minute
	// MaxKeys is how many keys a Meter knows of: some 16 MB.
	MaxKeys = 1 << 16
	// slots is how many keys of this second are told apart without a lock: 512 KiB.
	slots = 1 << 16
)

// Use is the last use of a key.
type Use struct {
	KeyID string
	At    time.Time
	// IP is where it came from, the zero value where that is not known; at a
	// gateway that of a use at most Resolution earlier.
	IP netip.Addr
}

// Meter keeps the last use of each key until it is handed on. Everything but
// Run may be called by any number of goroutines. It is also a
// prometheus.Collector.
type Meter struct {
	now  func() time.Time
	seed maphash.Seed
	// recent has in a key's slot what stands for the key and the second in which
	// it was last noted. Keys that share a slot only cost each other the lock.
	recent [slots]atomic.Uint64

	mu    sync.Mutex
	bound int // on uses
	uses  map[string]*use
	// waiting are to be handed on, handed were; each in the order of their due
	// times. A use that is being handed on is in neither.
	waiting, handed queue
	figures         figures
}

// use is what is known of a key.
type use struct {
	Use
	// due is when it may be handed on: at once, or Resolution after the last time.
	due     time.Time
	news    bool      // not handed on since it was noted
	located time.Time // when the client's address was last asked for
}

// queue is first in, first out.
type queue []*use

func (q *queue) push(u ...*use) { *q = append(*q, u...) }

func (q *queue) pop() *use {
	u := (*q)[0]
	(*q)[0], *q = nil, (*q)[1:]
	return u
}

// first returns the first if it is due at a moment, else nil.
func (q queue) first(at time.Time) *use {
	if len(q) == 0 || q[0].due.After(at) {
		return nil
	}
	return q[0]
}

// New returns a Meter that lives by a clock. It starts no goroutine.
func New(now func() time.Time) *Meter { return newMeter(now, MaxKeys) }

func newMeter(now func() time.Time, bound int) *Meter {
	return &Meter{now: now, seed: maphash.MakeSeed(), bound: bound, uses: map[string]*use{}}
}

// Note notes that a request was admitted by a key, at the moment at. It asks
// for the client's address where that costs nothing, and else once per key and
// Resolution. Nothing of keyID or req is kept.
func (m *Meter) Note(at time.Time, keyID string, req *apikey.Request) {
	hash := maphash.String(m.seed, keyID)
	slot := &m.recent[hash%slots]
	mark := hash ^ uint64(at.Unix())*0x9e3779b97f4a7c15 // 2^64 ÷ φ: neighbours in time are far apart
	before := slot.Load()
	if before == mark {
		return
	}
	if !slot.CompareAndSwap(before, mark) && slot.Load() == mark {
		return // another request of this key and second is at it
	}
	ip, known := req.KnownIP()
	if !known && m.unlocated(at, keyID) {
		ip, known = req.ClientIP(), true
	}
	m.put(Use{KeyID: keyID, At: at, IP: ip}, known)
}

// Add notes a use that somebody else has noted, as of a clock that may be wrong:
// what is ahead of this Meter's is now.
func (m *Meter) Add(u Use) {
	if now := m.now(); u.At.After(now) {
		u.At = now
	}
	m.put(u, true)
}

// unlocated reports whether it is time to ask where a key is used from.
func (m *Meter) unlocated(at time.Time, keyID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.uses[keyID]
	if u == nil {
		return len(m.uses) < m.bound || len(m.handed) > 0
	}
	return at.Sub(u.located) >= Resolution
}

// put keeps a use that is newer than what is known. located: the address is that
// of this use, known or not.
func (m *Meter) put(n Use, located bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.uses[n.KeyID]
	if u == nil {
		if !m.room() {
			m.figures.lost++
			return
		}
		n.KeyID = strings.Clone(n.KeyID) // it may be a view of a whole record
		u = &use{Use: Use{KeyID: n.KeyID}, due: m.now()}
		m.uses[n.KeyID] = u
		m.waiting.push(u)
	} else if !n.At.After(u.At) {
		return
	}
	u.At, u.news = n.At, true
	if located {
		u.IP, u.located = n.IP, n.At
	}
}

// room makes room for one more key: what was handed on longest ago leaves first,
// also where it was used since, for somebody knows about when. ok is false where
// nobody has heard of any of them yet: those are worth more than one more, which
// is noted with its next use.
func (m *Meter) room() (ok bool) {
	if len(m.uses) < m.bound {
		return true
	}
	if len(m.handed) == 0 {
		return false
	}
	delete(m.uses, m.handed.pop().KeyID)
	return true
}
