package journal

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// headInterval is how often the head is read while nothing happens. A feed
	// is lost to its readers after three of them.
	headInterval = time.Second
	readTimeout  = 2 * time.Second
)

// Page is what one read of the logs answers, all of it of one moment.
type Page struct {
	Head    Head
	Low     int64 // the change log holds everything after this number
	Changes []Change
	More    bool // there are more changes than fit into the page
}

// Stream is one connection to the logs on the primary.
type Stream interface {
	// Read returns the head and the changes after a number, in order.
	Read(ctx context.Context, after int64) (Page, error)
	// Wait returns nil when a change may have been committed since the last
	// Read, or when ctx is done; an error means that the connection is lost.
	Wait(ctx context.Context) error
	Close()
}

// Log opens streams. Open fails where the server is not the primary.
type Log interface {
	Open(ctx context.Context) (Stream, error)
}

// Sink is told of the change log by a Follower, by one goroutine, in order.
type Sink interface {
	// Reset: the numbers so far mean nothing any more; forget everything.
	Reset(Head)
	Apply(Change)
	// Heard: right now, everything up to this head has been told.
	Heard(Head)
}

// Follower reads the change log and tells its sinks. It reads once however many
// sinks there are, at every notification and once a second without one, so a
// lost notification costs a second and a lost connection costs nothing but the
// time until the next: it goes on from the last number it told.
type Follower struct {
	log    Log
	sinks  []Sink
	failed func(error)

	position int64
	epoch    string
}

// NewFollower returns a follower that tells the sinks in order. failed hears of
// every connection that could not be made or was lost.
func NewFollower(log Log, failed func(error), sinks ...Sink) *Follower {
	return &Follower{log: log, sinks: sinks, failed: failed}
}

// Run follows the log until ctx is done. It survives any outage of the
// database; while it lasts, the sinks hear nothing.
func (f *Follower) Run(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 20*time.Millisecond, headInterval
	for ctx.Err() == nil {
		read, err := f.session(ctx)
		if ctx.Err() != nil {
			return
		}
		f.failed(err)
		if read {
			retry.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
}

// session follows one stream until it breaks. read reports whether it got as
// far as one whole read.
func (f *Follower) session(ctx context.Context) (read bool, err error) {
	opening, cancel := context.WithTimeout(ctx, readTimeout)
	stream, err := f.log.Open(opening)
	cancel()
	if err != nil {
		return false, err
	}
	defer stream.Close()
	for {
		if err := f.catchUp(ctx, stream); err != nil {
			return read, err
		}
		read = true
		waiting, cancel := context.WithTimeout(ctx, headInterval)
		err := stream.Wait(waiting)
		cancel()
		if err := errors.Join(err, ctx.Err()); err != nil {
			return read, err
		}
	}
}

// catchUp tells the sinks everything up to the head of this moment.
func (f *Follower) catchUp(ctx context.Context, stream Stream) error {
	for {
		reading, cancel := context.WithTimeout(ctx, readTimeout)
		page, err := stream.Read(reading, f.position)
		cancel()
		if err != nil {
			return err
		}
		if page.Head.Epoch != f.epoch || f.position < page.Low || f.position > page.Head.Number {
			f.epoch, f.position = page.Head.Epoch, page.Head.Number
			for _, s := range f.sinks {
				s.Reset(page.Head)
			}
		} else {
			f.tell(page)
		}
		if page.More && f.position < page.Head.Number {
			continue
		}
		for _, s := range f.sinks {
			s.Heard(page.Head)
		}
		return nil
	}
}

func (f *Follower) tell(page Page) {
	for _, c := range page.Changes {
		for _, s := range f.sinks {
			s.Apply(c)
		}
		f.position = c.Number
	}
	if !page.More {
		f.position = page.Head.Number // numbers without a change row are audit only
	}
}
