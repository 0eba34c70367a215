package validator

import (
	"errors"
	"iter"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// Kept is a cached record as it outlives the process that looked it up.
type Kept struct {
	Fingerprint apikey.Fingerprint
	// Age is how long before the save it was looked up; never negative.
	Age time.Duration
	// Record is an apikey.Record, encoded. It is not kept longer than the call.
	Record []byte
}

// errKept is returned for what cannot have been saved.
var errKept = errors.New("validator: no record that could be kept")

// Save returns how long ago the change feed was heard, and the records that may
// be used and that nothing changed after they were looked up. Of what changes
// while they are gone through some are still the old ones: who keeps them keeps
// the changes that are applied from before the call on too. ok is false where
// no feed vouches for anything.
func (v *Validator) Save() (heard time.Duration, records iter.Seq[Kept], ok bool) {
	e, at := v.era.Load(), v.clock()
	if !e.followed || !e.trusted(at, v.config.StaleBudget) {
		return 0, nil, false
	}
	return time.Duration(at - e.heard.Load()), func(yield func(Kept) bool) {
		for print, encoded := range v.known.all() {
			c, whole := parseEntry(encoded)
			if !whole || !c.found || c.era != e.number {
				continue
			}
			if changed, _ := e.table.changed(&c); changed {
				continue // that it wants renewal would be forgotten with the table
			}
			if !yield(Kept{Fingerprint: print, Age: time.Duration(max(0, at-c.at)), Record: c.record}) {
				return
			}
		}
	}, true
}

// Loading is what a validator is about to know from a save. Nothing of it
// counts before Commit. For one goroutine, the one that calls Reset and Heard.
type Loading struct {
	validator *Validator
	era       *era
	saved     int64 // when, on the validator's clock
	encoded   []byte
}

// Load begins to take in what Save gave a time ago. It returns nil once a feed
// was heard, for that knows better. Commit or Discard ends it.
func (v *Validator) Load(ago time.Duration) *Loading {
	old := v.era.Load()
	if old.followed {
		return nil
	}
	return &Loading{validator: v, era: newEra(old.number+1, v.seed, Head{}), saved: v.clock() - int64(ago)}
}

// Put takes a record in.
func (l *Loading) Put(k Kept) error {
	answer := Answer{Found: true}
	if k.Age < 0 || apikey.DecodeRecord(k.Record, &answer.Record) != nil {
		return errKept
	}
	encoded, ok := appendEntry(l.encoded[:0], l.validator.seed, &answer)
	if !ok {
		return errKept
	}
	l.encoded = encoded
	stamp(encoded, l.era.number, l.saved-int64(k.Age))
	if e, ok := parseEntry(encoded); !ok || !e.dependent() {
		return errKept
	}
	l.validator.known.put(&k.Fingerprint, encoded)
	return nil
}

// Apply takes in a change that came after the records.
func (l *Loading) Apply(c Change) { l.era.table.apply(c) }

// Commit makes all of it count, as if the feed had been heard a time ago. From
// here on the feed tells every change after head.Number of head.Epoch.
func (l *Loading) Commit(head Head, heard time.Duration) {
	e := l.era
	e.epoch, e.since = head.Epoch, head.Number
	e.head.Store(head.Number)
	e.heard.Store(l.validator.clock() - int64(heard))
	l.validator.era.Store(e)
}

// Discard forgets all of it.
func (l *Loading) Discard() { l.validator.known.clear() }
