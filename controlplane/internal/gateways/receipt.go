package gateways

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

const (
	// pollFirst and pollLast are the pauses between two looks at the roll while a
	// receipt waits: gateways confirm within milliseconds or, cut off, not at all.
	pollFirst = 3 * time.Millisecond
	pollLast  = 50 * time.Millisecond
)

// Receipt says who enforces a change.
type Receipt struct {
	Change    int64
	Connected int // gateways that might admit somebody
	Confirmed int // those that said that they applied the change
	Pending   []Gateway
	Elapsed   time.Duration
}

// Confirm waits until every gateway has applied the last change of a thing, for
// patience at most, and answers who did. A pending gateway is no error: it
// refuses by itself from RefusesBy on.
//
// It polls rather than listens: a look costs the database some 50 microseconds,
// only while somebody waits, and a heartbeat stays one statement that wakes
// nobody.
func (s *Service) Confirm(ctx context.Context, target string, patience time.Duration) (Receipt, error) {
	start := s.now()
	change, err := s.store.LastChange(ctx, target)
	if err != nil {
		return Receipt{}, unconfirmed(err)
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for pause, last := pollFirst, patience <= 0; ; pause = min(pause*5/4, pollLast) {
		roll, err := s.look(ctx)
		if err != nil {
			return Receipt{}, unconfirmed(err)
		}
		r := roll.receipt(change)
		r.Elapsed = s.now().Sub(start)
		if last || len(r.Pending) == 0 {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return Receipt{}, unconfirmed(ctx.Err())
		case <-deadline.C:
			last = true // once more, and then answer
		case <-time.After(pause):
		}
	}
}

// look reads the roll. The read begins after the call, so a gateway that had
// registered before is on it.
func (s *Service) look(ctx context.Context) (Roll, error) {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return Roll{}, ctx.Err()
	}
	return s.store.Roll(ctx)
}

func (r *Roll) receipt(change int64) Receipt {
	out := Receipt{Change: change, Pending: []Gateway{}}
	for _, g := range r.present() {
		out.Connected++
		if g.confirms(change, r.Epoch) {
			out.Confirmed++
		} else {
			out.Pending = append(out.Pending, g)
		}
	}
	return out
}

// unconfirmed says that the change itself was made.
func unconfirmed(err error) error {
	return fault.Wrap(err, fault.Unavailable, "the change is made, but the gateways could not be asked").
		WithFix("repeat the request: it changes nothing and asks again")
}
