package edge

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

var (
	errSilent  = errors.New("edge: the change feed is silent")
	errEnded   = errors.New("edge: the change feed ended")
	errHistory = errors.New("edge: the change feed is of another history than its place in it")
)

// feed follows the change log through one stream at a time. It alone tells the
// validator what happened; its position is read by others.
type feed struct {
	client   *client
	tell     *validator.Validator
	self     wire.Gateway
	heart    *heart
	snapshot *snapshot
	counts   *counts
	position atomic.Pointer[wire.Position]
	prefixes atomic.Pointer[apikey.Prefixes]
	heard    chan struct{} // closed with the first prefixes
}

func newFeed(c *client, v *validator.Validator, self wire.Gateway, n *counts) *feed {
	f := &feed{client: c, tell: v, self: self, counts: n, heard: make(chan struct{})}
	f.position.Store(&wire.Position{})
	return f
}

func (f *feed) at() wire.Position { return *f.position.Load() }

// run follows until ctx ends, through any outage.
func (f *feed) run(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 20*time.Millisecond, 2*time.Second
	for {
		f.goOn()
		told, err := f.session(ctx)
		if ctx.Err() != nil {
			return
		}
		f.client.config.Failed(err)
		f.counts.ended(err)
		if told {
			retry.Reset()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry.NextBackOff()):
		}
	}
}

// goOn takes up where the process before this one was, as its snapshot tells.
func (f *feed) goOn() {
	if p := f.snapshot.load(); p != nil {
		f.issued(p.Prefixes)
		f.position.Store(&p.Position)
	}
}

// session follows one stream until it ends, which it does when nothing but
// comments came for three seconds: that it is open means nothing. told reports
// whether it got as far as a head.
func (f *feed) session(ctx context.Context) (told bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(wire.Lost, func() { cancel(errSilent) })
	defer silence.Stop()

	if err := f.snapshot.settle(); err != nil {
		return false, err // the request confirms what was applied
	}
	now := f.client.config.Now
	last := now()
	body, address, err := f.client.stream(ctx, wire.ChangesQuery(f.self, f.at()))
	defer func() {
		if errors.Is(err, wire.ErrEvent) || errors.Is(err, errHistory) {
			f.position.Store(&wire.Position{}) // what it could not read may have been a change: begin anew
		}
		if err != nil && !errors.Is(err, errEnded) {
			f.client.failed(address)
		}
	}()
	if err != nil {
		return false, because(ctx, err)
	}
	defer func() { _ = body.Close() }()
	f.heart.contacted(last) // the stream's request is taken as a heartbeat
	f.counts.connected.Set(1)
	defer f.counts.connected.Set(0)
	for events := wire.NewEventReader(body); ; {
		e, err := events.Next()
		if err != nil && !errors.Is(err, wire.ErrEvent) {
			err = fmt.Errorf("%w: %w", errEnded, err)
		}
		if err != nil {
			return told, because(ctx, err)
		}
		// A process that slept finds old events in its buffers, and a head among
		// them must not count as heard now.
		heard := now()
		if heard.Sub(last) > wire.Lost {
			return told, errSilent
		}
		last = heard
		silence.Reset(wire.Lost)
		if err := f.take(&e); err != nil {
			return told, err
		}
		told = told || e.Name == wire.EventHead
	}
}

// because prefers the reason for which a stream was given up.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// take tells the validator of one event. Those that it does not know mean
// nothing.
func (f *feed) take(e *wire.Event) error {
	switch e.Name {
	case wire.EventChange:
		return f.change(e)
	case wire.EventHead:
		return f.head(e.Data)
	case wire.EventReset:
		return f.reset(e.Data)
	}
	return nil
}

func (f *feed) reset(data []byte) error {
	h, err := wire.DecodeHead(data)
	if err != nil {
		return err
	}
	f.tell.Reset(validator.Head{Number: h.Number, Epoch: h.Epoch})
	f.snapshot.reset()
	f.position.Store(&wire.Position{After: h.Number, Epoch: h.Epoch})
	f.issued(h.Prefixes)
	f.counts.resets.Inc()
	f.heart.want()
	return nil
}

func (f *feed) change(e *wire.Event) error {
	at := f.at()
	if at.Epoch == "" || e.ID <= at.After {
		return fmt.Errorf("%w: change %d after %d", errHistory, e.ID, at.After)
	}
	c, err := wire.DecodeChange(e.Data)
	if err != nil {
		return err
	}
	applied := validator.Change{Number: e.ID, IDs: c.IDs, Forget: c.Kind != wire.Refresh}
	f.tell.Apply(applied)
	f.snapshot.note(applied)
	f.position.Store(&wire.Position{After: e.ID, Epoch: at.Epoch})
	f.counts.changes.Inc()
	if c.Ack {
		f.heart.want()
	}
	return nil
}

func (f *feed) head(data []byte) error {
	h, err := wire.DecodeHead(data)
	if err != nil {
		return err
	}
	if at := f.at(); h.Epoch != at.Epoch || h.Number < at.After {
		return fmt.Errorf("%w: head %d after %d", errHistory, h.Number, at.After)
	}
	f.position.Store(&wire.Position{After: h.Number, Epoch: h.Epoch})
	f.issued(h.Prefixes)
	if f.heart.believed() {
		f.tell.Heard(validator.Head{Number: h.Number, Epoch: h.Epoch})
	}
	return nil
}

// issued notes the prefixes of keys, each checked: one that cannot be would
// make doors take texts for keys that are none.
func (f *feed) issued(prefixes []string) {
	known := make(apikey.Prefixes, 0, len(prefixes))
	for _, p := range prefixes {
		if apikey.CheckPrefix(p) == nil {
			known = append(known, p)
		}
	}
	if len(known) > 0 && f.prefixes.Swap(&known) == nil {
		close(f.heard)
	}
}
