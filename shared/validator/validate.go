package validator

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// Validate judges a request. What cannot be decided is Undecided, with the time
// after which to ask again; there is no error. It answers from the cache where
// that is good enough, and else waits for a look-up, for LookupTimeout at most
// and no longer than ctx. req is read until Validate returns.
func (v *Validator) Validate(ctx context.Context, req *apikey.Request) (verdict apikey.Verdict) {
	origin := v.fromCache(ctx, req, &verdict)
	no := refusal{}
	if origin == fromLookup {
		no = v.lookUp(ctx, req, &verdict)
	}
	if verdict.Code == apikey.Undecided {
		if no.cause == decided {
			no.cause = byNeeds // Decide's own
		}
		verdict.RetryAfter = no.wait
		if no.wait <= 0 {
			verdict.RetryAfter = retryAfter
		}
		v.metrics.undecided[no.cause].Add(1)
	}
	v.metrics.verdict(req.Fingerprint[0], origin, verdict.Code)
	return verdict
}

// fromCache judges by what is cached. Where that does not do it returns
// fromLookup.
func (v *Validator) fromCache(ctx context.Context, req *apikey.Request, verdict *apikey.Verdict) origin {
	if req.Freshness >= apikey.Now {
		return fromLookup
	}
	origin := fromRecord
	e, ok := v.known.get(&req.Fingerprint)
	if !ok || !e.found {
		origin = fromNone
		if e, ok = v.unknown.get(&req.Fingerprint); !ok || e.found {
			return fromLookup
		}
	}
	now := v.config.Now()
	at := int64(now.Sub(v.start))
	if req.Freshness == apikey.Recent && at-e.at > int64(recent) {
		return fromLookup
	}
	switch v.era.Load().standing(&e, at, v.config.StaleBudget) {
	case unusable:
		return fromLookup
	case renewable:
		origin = fromOldRecord
		v.renew(ctx, at, &req.Fingerprint)
	}
	if !v.judge(now, &e, req, verdict) {
		return fromLookup
	}
	return origin
}

// judge decides a request by an entry, and has it noted where it is admitted. ok
// is false where the entry holds no whole record.
func (v *Validator) judge(now time.Time, e *entry, req *apikey.Request, verdict *apikey.Verdict) (ok bool) {
	ok = e.judge(apikey.InstantOf(now), req, verdict)
	if verdict.Code == apikey.Valid && v.config.Meter != nil && !req.Unmetered {
		v.config.Meter.Note(now, verdict.Record.Key.ID, req)
	}
	return ok
}

// lookUp judges by a look-up that began after the request came or, while the
// cache counts, by one that was under way. An answer that a change overtook is
// asked for again.
func (v *Validator) lookUp(ctx context.Context, req *apikey.Request, verdict *apikey.Verdict) refusal {
	if v.waiting.Add(1) > int64(v.config.Waiting) {
		v.waiting.Add(-1)
		return refusal{cause: byBusy}
	}
	defer v.waiting.Add(-1)
	patience := time.NewTimer(v.config.LookupTimeout)
	defer patience.Stop()

	share := req.Freshness < apikey.Now
	client := req.ClientIP() // before any lock: a door may have to ask for it
	for n := range attempts {
		f, own, no := v.join(ctx, req, client)
		if f == nil {
			return no
		}
		select {
		case <-f.done:
		case <-patience.C:
			return refusal{cause: bySource}
		case <-ctx.Done():
			return refusal{cause: byCaller}
		}
		asked := own || n > 0 // the look-up began after the request came
		now := v.config.Now()
		worth := v.worth(f, asked, share && v.trusted(now))
		if worth == overtaken {
			continue
		}
		if until := spent(0); errors.As(f.err, &until) {
			return refusal{byBudget, time.Duration(until)}
		}
		if worth == failed || !v.judge(now, &f.entry, req, verdict) {
			return refusal{cause: bySource}
		}
		return refusal{}
	}
	return refusal{cause: byChange}
}

func (v *Validator) trusted(now time.Time) bool {
	return v.era.Load().trusted(int64(now.Sub(v.start)), v.config.StaleBudget)
}

// worth is what a flight that has ended means to one who waited for it.
type worth uint8

const (
	good worth = iota
	overtaken
	failed
)

// worth judges a flight that has ended. asked: it began after the request came.
// share: one that began earlier will do, as far as the table can vouch for it.
func (v *Validator) worth(f *flight, asked, share bool) worth {
	era := v.era.Load()
	switch {
	case !asked && !share:
		return overtaken
	case f.err != nil:
		return failed
	case !era.knows(f.epoch) || !f.entry.dependent():
		if asked {
			return good // as fresh as can be, though no feed vouches for it
		}
		return overtaken
	case era.overtaken(&f.entry):
		return overtaken
	}
	return good
}
