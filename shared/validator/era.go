package validator

import (
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"
)

const (
	// feedLost is the silence after which the change feed counts as lost.
	feedLost = 3 * time.Second
	// recent is how old an answer may be for apikey.Recent.
	recent = time.Second
	// noneLifetime is how long "no such key" is used.
	noneLifetime = 30 * time.Second
)

// Change says which ids changed. Numbers rise, within one epoch.
type Change struct {
	Number int64
	IDs    []string
	// Forget says that the change takes something away: what is older may not
	// be used once more. Else it may, while it is renewed.
	Forget bool
}

// Head is the end of a change log: the number of its last change, and the name
// of the history that the number belongs to.
type Head struct {
	Number int64
	Epoch  string
}

// never is before every moment on the validator's clock.
const never = math.MinInt64 / 2

// era is the time between two resets, in which change numbers can be compared.
// An entry of another era does not exist.
type era struct {
	number uint64
	// followed is false until the first Reset: no feed tells of changes yet.
	followed bool
	epoch    string
	// since is the number after which the feed tells every change. An answer
	// that reflects less may have missed one.
	since int64
	table table
	heard atomic.Int64 // when the feed last proved to be whole, or never
	head  atomic.Int64 // up to which number
}

func newEra(number uint64, seed maphash.Seed, head Head) *era {
	e := &era{number: number, followed: number > 0, epoch: head.Epoch, since: head.Number}
	e.table.seed = seed
	e.heard.Store(never)
	e.head.Store(head.Number)
	return e
}

// knows reports whether the feed tells of changes in the history that an
// answer's change number is from.
func (e *era) knows(epoch string) bool { return e.followed && epoch == e.epoch }

// overtaken reports whether an answer of a known epoch may not be used, because
// a change forbids it or one may have been missed.
func (e *era) overtaken(c *entry) bool {
	_, forgotten := e.table.changed(c)
	return forgotten || c.change < e.since
}

func (e *era) live(at int64) bool { return at-e.heard.Load() <= int64(feedLost) }

// trusted reports whether cached answers count at the moment at: the feed is
// live, or was heard within the staleness budget.
func (e *era) trusted(at int64, budget time.Duration) bool {
	return at-e.heard.Load() <= int64(max(feedLost, budget))
}

// standing is what a cached answer is worth.
type standing uint8

const (
	unusable  standing = iota // as if it were not there
	renewable                 // used, while one look-up fetches a newer one
	usable
)

// standing judges a cached answer at the moment at.
func (e *era) standing(c *entry, at int64, budget time.Duration) standing {
	if c.era != e.number || !e.trusted(at, budget) {
		return unusable
	}
	changed, forgotten := e.table.changed(c)
	switch age := at - c.at; {
	case forgotten || !c.found && (changed || age > int64(noneLifetime)):
		return unusable
	case changed:
		return renewable
	case c.found && age > int64(max(feedLost, budget)) && e.live(at):
		return renewable
	}
	return usable
}
