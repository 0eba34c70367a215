package validator

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/latchkey/latchkey/shared/apikey"
)

// flightShards is how many locks the flights are under.
const flightShards = 64

var (
	errPanicked = errors.New("validator: the source panicked")
	errTorn     = errors.New("validator: the source answered a record that cannot be read")
)

// flight is one look-up in progress, shared by all who want its fingerprint.
// Nobody's leaving ends it. The fields after done are set when it is closed.
type flight struct {
	pays   *atomic.Int64 // the token bucket that is charged, or nil
	refund bool          // whether it is given back where a key is found
	done   chan struct{}
	entry  entry
	epoch  string
	err    error
}

// flights holds at most one flight per fingerprint, and counts them all.
type flights struct {
	shards [flightShards]struct {
		sync.Mutex
		byPrint map[apikey.Fingerprint]*flight
	}
	count  sync.Mutex
	flying int
	idle   chan struct{} // made by close, closed when the last flight has landed
}

// depart counts a new flight in, unless there are limit already or the
// validator is closed.
func (f *flights) depart(limit int) bool {
	f.count.Lock()
	defer f.count.Unlock()
	if f.idle != nil || f.flying >= limit {
		return false
	}
	f.flying++
	return true
}

func (f *flights) landed() {
	f.count.Lock()
	defer f.count.Unlock()
	f.flying--
	if f.idle != nil && f.flying == 0 {
		close(f.idle)
	}
}

// close lets no more flights depart. The channel is closed when none is left.
func (f *flights) close() <-chan struct{} {
	f.count.Lock()
	defer f.count.Unlock()
	if f.idle == nil {
		f.idle = make(chan struct{})
		if f.flying == 0 {
			close(f.idle)
		}
	}
	return f.idle
}

// join returns the flight of the request's fingerprint. Where there is none it
// starts one, own, at the cost of the client's network; a nil flight is refused.
func (v *Validator) join(ctx context.Context, req *apikey.Request, client netip.Addr) (f *flight, own bool, no refusal) {
	shard := &v.flights.shards[req.Fingerprint[0]%flightShards]
	shard.Lock()
	defer shard.Unlock()
	if f = shard.byPrint[req.Fingerprint]; f != nil {
		return f, false, refusal{}
	}
	f = &flight{pays: v.budget.bucket(client), refund: req.Freshness != apikey.Recent}
	if wait := v.budget.wait(f.pays, v.clock()); wait > 0 {
		return nil, false, refusal{byBudget, wait}
	}
	if !v.depart(ctx, f, &req.Fingerprint, v.config.Waiting) {
		return nil, false, refusal{cause: byBusy}
	}
	return f, true, refusal{}
}

// renew starts a flight behind a cached record, unless one is under way, so
// many are that it would delay requests that wait, or the last one failed a
// moment ago.
func (v *Validator) renew(ctx context.Context, at int64, print *apikey.Fingerprint) {
	if at < v.renewAgain.Load() {
		return
	}
	shard := &v.flights.shards[print[0]%flightShards]
	shard.Lock()
	defer shard.Unlock()
	if shard.byPrint[*print] == nil {
		v.depart(ctx, &flight{}, print, max(1, v.config.Lookups/2))
	}
}

// depart starts a flight, unless limit are under way. The caller holds the
// shard's lock.
func (v *Validator) depart(ctx context.Context, f *flight, print *apikey.Fingerprint, limit int) bool {
	if !v.flights.depart(limit) {
		return false
	}
	shard := &v.flights.shards[print[0]%flightShards]
	if shard.byPrint == nil {
		shard.byPrint = make(map[apikey.Fingerprint]*flight)
	}
	f.done = make(chan struct{})
	shard.byPrint[*print] = f
	go v.fly(context.WithoutCancel(ctx), f, *print)
	return true
}

// fly makes the look-up of a flight, within LookupTimeout from here on, the
// wait for its turn included. Whatever the Source does, panic and
// runtime.Goexit included, those who wait are told.
func (v *Validator) fly(ctx context.Context, f *flight, print apikey.Fingerprint) {
	ctx, cancel := context.WithTimeout(ctx, v.config.LookupTimeout)
	f.err = errPanicked // until the Source has returned
	asked := false
	defer func() {
		_ = recover() // errPanicked tells of it, to the metrics too
		cancel()
		if asked && f.err != nil {
			v.renewAgain.Store(v.clock() + int64(renewalPause))
		}
		v.land(f, &print)
	}()
	select {
	case v.turns <- struct{}{}:
		defer func() { <-v.turns }()
	case <-ctx.Done():
		f.err = ctx.Err()
		return
	}
	// Charged only now: tokens that are out at the same time are as few as the
	// turns, so that a cold start with good keys does not run into the budget.
	if f.pays != nil {
		if wait := v.budget.take(f.pays, v.clock()); wait > 0 {
			f.err = spent(wait)
			return
		}
	}
	asked = true
	f.err = v.ask(ctx, f, print)
	if f.err == nil && f.entry.found && f.refund {
		v.budget.giveBack(f.pays)
	}
}

func (v *Validator) land(f *flight, print *apikey.Fingerprint) {
	v.metrics.lookedUp(f)
	shard := &v.flights.shards[print[0]%flightShards]
	shard.Lock()
	delete(shard.byPrint, *print)
	shard.Unlock()
	close(f.done)
	v.flights.landed()
}

// ask asks the Source and caches what it answers. The era and the time are
// those before the question, so that the answer never counts as younger than
// it is, and one that a Reset overtook is not found again.
func (v *Validator) ask(ctx context.Context, f *flight, print apikey.Fingerprint) error {
	era, at := v.era.Load(), v.clock()
	answer, err := v.config.Source.Lookup(ctx, print)
	if err != nil {
		return err
	}
	encoded, ok := appendEntry(make([]byte, 0, 512), v.seed, &answer)
	if !ok {
		return errTorn
	}
	stamp(encoded, era.number, at)
	f.epoch = answer.Epoch
	if f.entry, ok = parseEntry(encoded); !ok || !f.entry.whole() {
		return errTorn
	}
	// What is not kept is good for those who wait at most, never for later ones.
	if era.knows(f.epoch) && !era.overtaken(&f.entry) && f.entry.dependent() {
		v.keep(&print, encoded, &f.entry)
	}
	return nil
}

// keep caches an answer in place of the one before, unless that reflects more.
// Calls for one fingerprint do not overlap.
func (v *Validator) keep(print *apikey.Fingerprint, encoded []byte, e *entry) {
	for _, c := range [...]cache{v.known, v.unknown} {
		if old, ok := c.get(print); ok && old.era == e.era && old.change > e.change {
			return
		}
	}
	in, out := v.known, v.unknown
	if !e.found {
		in, out = out, in
	}
	out.remove(print)
	in.put(print, encoded)
}
