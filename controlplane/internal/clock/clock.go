// Package clock is what the domains know of time: moments in the precision that
// the database keeps, so that what is answered to a write is what is read later,
// and work that is done by the clock.
//
// It owns no clock: whoever makes a domain gives it one, which tests move. The
// domains call it.
package clock

import (
	"context"
	"time"
)

// Clock tells the time.
type Clock func() time.Time

// Moment returns the time as it is stored.
func (c Clock) Moment() time.Time { return Stored(c()) }

// Stored returns a time as it is stored: in UTC, whole microseconds.
func Stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// StoredOrNil is Stored, nil for nil.
func StoredOrNil(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	stored := Stored(*t)
	return &stored
}

// Every does work at once and then again and again, with a pause of the interval
// between two beginnings or as long as the work takes, until ctx ends. failed
// hears of what could not be done, unless ctx ended it.
func Every(ctx context.Context, interval time.Duration, work func(context.Context) error, failed func(error)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := work(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
