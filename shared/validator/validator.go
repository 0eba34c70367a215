package validator

import (
	"context"
	"errors"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/meter"
)

const (
	// attempts is how often a request looks up again because a change overtook
	// its answer.
	attempts = 3
	// renewalPause is how long no renewal is started after a look-up failed.
	renewalPause = time.Second
	// retryAfter is the hint where nothing better is known.
	retryAfter = time.Second
	// unknownMB bounds the cache of "no such key": some 65,536 of them.
	unknownMB = 6
)

// Source answers what is known of a fingerprint. Its calls are bounded in
// number and time; it must return when ctx ends. Safe for concurrent use.
type Source interface {
	// Lookup returns the state that holds at some moment during the call. An
	// error means that it is not known.
	Lookup(ctx context.Context, f apikey.Fingerprint) (Answer, error)
}

// Answer is what a Source knows of a fingerprint.
type Answer struct {
	Found bool
	// Epoch is the history that Record.Change is a number of.
	Epoch string
	// Record holds only Change where no key was found.
	Record apikey.Record
}

// Config is what a Validator needs. Zero fields but Source, Now and StaleBudget
// get the default that they name.
type Config struct {
	Source Source
	// Now is the clock; durations use its monotonic part where it has one.
	Now func() time.Time
	// CacheMB bounds the record cache, in MiB: 256.
	CacheMB int
	// StaleBudget is how long after the change feed was last heard cached
	// records are used, and the age at which they are renewed while it is
	// heard. 0: never stale, once the feed has been silent for three seconds
	// every request is looked up.
	StaleBudget time.Duration
	// MissRate and MissBurst are the look-ups per second, and at once, of each
	// client network; those that find a key are not counted: 50 and 200.
	MissRate  float64
	MissBurst int
	// Lookups is how many run at the same time: 32.
	Lookups int
	// Waiting is how many requests may wait for look-ups; past it they are
	// Undecided at once: 1024.
	Waiting int
	// Meter is told of every request that is admitted; nil: nobody is.
	Meter *meter.Meter
	// LookupTimeout bounds each look-up, and what a request waits in all: 500 ms.
	LookupTimeout time.Duration
}

func (c *Config) complete() error {
	if c.Source == nil || c.Now == nil {
		return errors.New("validator: a source and a clock are needed")
	}
	if c.CacheMB < 0 || c.StaleBudget < 0 || c.MissRate < 0 || c.MissBurst < 0 ||
		c.Lookups < 0 || c.Waiting < 0 || c.LookupTimeout < 0 {
		return errors.New("validator: a negative bound")
	}
	fill(&c.CacheMB, 256)
	fill(&c.MissRate, 50)
	fill(&c.MissBurst, 200)
	fill(&c.Lookups, 32)
	fill(&c.Waiting, 1024)
	fill(&c.LookupTimeout, 500*time.Millisecond)
	return nil
}

func fill[T int | float64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Validator judges requests. Validate may be called by any number of
// goroutines, and so may Apply; Reset and Heard by one, at the same time. It is
// also a prometheus.Collector.
type Validator struct {
	config  Config
	start   time.Time
	seed    maphash.Seed // of the tables
	era     atomic.Pointer[era]
	known   cache // records
	unknown cache // "no such key", apart so that they cannot push out records
	budget  *budget
	flights flights
	turns   chan struct{} // one for each look-up that runs
	waiting atomic.Int64
	// renewAgain is the moment before which no renewal is started.
	renewAgain atomic.Int64
	metrics    metrics
}

// New returns a Validator. It starts no goroutine. Until the change feed is
// heard for the first time every request is looked up.
func New(c Config) (*Validator, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	known, err := newCache(c.CacheMB)
	if err != nil {
		return nil, err
	}
	unknown, err := newCache(unknownMB)
	if err != nil {
		return nil, err
	}
	v := &Validator{
		config: c, start: c.Now(), seed: maphash.MakeSeed(), known: known, unknown: unknown,
		budget: newBudget(c.MissRate, c.MissBurst), turns: make(chan struct{}, c.Lookups),
	}
	v.renewAgain.Store(never)
	v.era.Store(newEra(0, v.seed, Head{}))
	return v, nil
}

// clock returns the nanoseconds since the validator was made.
func (v *Validator) clock() int64 { return int64(v.config.Now().Sub(v.start)) }

// Reset forgets everything. From here on the feed tells every change after
// head.Number of head.Epoch.
func (v *Validator) Reset(head Head) {
	old := v.era.Load()
	if ahead := old.table.top.Load(); old.knows(head.Epoch) && head.Number >= old.head.Load() {
		head.Number = max(head.Number, ahead) // applied before the feed told of it: still forbidden
	}
	v.era.Store(newEra(old.number+1, v.seed, head))
	v.known.clear()
	v.unknown.clear()
}

// Apply takes a change in. When it has returned, no Validate that starts later
// uses what the change forbids. Unlike the rest of the feed it may be called by
// any number of goroutines, in any order and more than once for a change: who
// commits a change itself need not wait to be told of it.
func (v *Validator) Apply(c Change) {
	for e := v.era.Load(); ; {
		e.table.apply(c)
		now := v.era.Load()
		if now == e {
			return
		}
		e = now // a Reset came between
	}
}

// Heard says that at this moment every change up to head has been applied. A
// head of another epoch is a Reset first.
func (v *Validator) Heard(head Head) {
	e := v.era.Load()
	if !e.followed || e.epoch != head.Epoch {
		v.Reset(head)
		e = v.era.Load()
	}
	e.head.Store(head.Number)
	e.heard.Store(v.clock())
}

// Close lets no more look-ups start and waits for those that run. It returns
// ctx's error where they outlast it. Cached answers stay good.
func (v *Validator) Close(ctx context.Context) error {
	select {
	case <-v.flights.close():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
