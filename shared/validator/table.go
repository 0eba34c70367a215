package validator

import (
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
)

// noneID is the id that every cached "no such key" depends on.
const noneID = "none"

// tableSlots is how many slots a table has: 2 MiB for both halves.
const tableSlots = 1 << 17

// table remembers for every id the number of its last change, in memory that
// never grows: ids that hash to one slot share the larger number. Sharing only
// makes a record look older than it is and costs a look-up. There is no lock:
// numbers only rise, so changes may be applied by anyone and in any order.
type table struct {
	seed   maphash.Seed // of all tables, so that an entry's slots fit each
	top    atomic.Int64 // the highest number of any change
	any    [tableSlots]atomic.Int64
	forget [tableSlots]atomic.Int64
}

// slotOf returns where a table keeps an id's numbers. The hash is seeded, so
// that nobody can choose ids that share a slot.
func slotOf(seed maphash.Seed, id string) uint32 {
	return uint32(maphash.String(seed, id) % tableSlots)
}

// apply records a change. When it has returned, every reader sees it: top goes
// up last, because readers skip the slots while they are at or above it.
func (t *table) apply(c Change) {
	for _, id := range c.IDs {
		slot := slotOf(t.seed, id)
		if c.Forget {
			raise(&t.forget[slot], c.Number)
		}
		raise(&t.any[slot], c.Number)
	}
	raise(&t.top, c.Number)
}

func raise(n *atomic.Int64, to int64) {
	for have := n.Load(); have < to; have = n.Load() {
		if n.CompareAndSwap(have, to) {
			return
		}
	}
}

// changed reports whether something that an answer depends on changed after it,
// and whether that forbids its use.
func (t *table) changed(e *entry) (changed, forgotten bool) {
	if e.change >= t.top.Load() {
		return false, false
	}
	for s := e.slots; len(s) >= 4; s = s[4:] {
		slot := binary.LittleEndian.Uint32(s) % tableSlots
		if t.any[slot].Load() <= e.change {
			continue
		}
		changed = true
		if t.forget[slot].Load() > e.change {
			return true, true
		}
	}
	return changed, false
}
