package edge

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/shared/wire"
)

const (
	heartbeatTimeout = wire.HeartbeatInterval
	// ackSpacing is the time between two heartbeats at least: what is applied
	// meanwhile is confirmed by one.
	ackSpacing = 20 * time.Millisecond
	// leaveTimeout bounds the goodbye of a process that ends.
	leaveTimeout = time.Second
	maxNoAnswer  = 4 << 10
)

// heart sends heartbeats: every two seconds, and at once when an applied change
// asks for it; one at a time. It keeps the moment of the last contact, for as
// long as which the feed is believed.
type heart struct {
	client *client
	self   wire.Gateway
	at     func() wire.Position
	now    func() time.Time
	failed func(error)
	counts *counts
	// snapshot has on disk what a heartbeat confirms.
	snapshot *snapshot

	start   time.Time
	contact atomic.Int64 // nanoseconds since start when it was sent, of the last that was taken
	wanted  chan struct{}
}

func newHeart(c *client, self wire.Gateway, at func() wire.Position, n *counts) *heart {
	now := c.config.Now
	return &heart{
		client: c, self: self, at: at, now: now, failed: c.config.Failed, counts: n,
		start: now(), wanted: make(chan struct{}, 1),
	}
}

// want asks for a heartbeat now. It never waits.
func (h *heart) want() {
	select {
	case h.wanted <- struct{}{}:
	default: // one is asked for already, and will say the newest position
	}
}

// contacted notes that a call was taken that was sent at a moment.
func (h *heart) contacted(sent time.Time) { h.contact.Store(int64(sent.Sub(h.start))) }

// believed reports whether the control plane took a call a short time ago.
func (h *heart) believed() bool {
	return int64(h.now().Sub(h.start))-h.contact.Load() <= int64(wire.ContactLimit)
}

// run beats until ctx ends.
func (h *heart) run(ctx context.Context) {
	tick := time.NewTicker(wire.HeartbeatInterval)
	defer tick.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-h.wanted:
		}
		if h.at().Epoch == "" {
			continue // nothing was told yet, so there is nothing to confirm
		}
		pause.Reset(ackSpacing)
		if err := h.beat(ctx, false); err != nil && ctx.Err() == nil {
			h.failed(errors.Join(errors.New("edge: a heartbeat was not taken"), err))
		}
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
}

func (h *heart) beat(ctx context.Context, leaving bool) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	sent := h.now()
	message := wire.Heartbeat{Gateway: h.self, Position: h.at(), Leaving: leaving}
	if err := h.snapshot.settle(); err != nil {
		return err
	}
	err := h.send(ctx, message)
	if err == nil && !leaving {
		h.contacted(sent)
	}
	return err
}

func (h *heart) send(ctx context.Context, message wire.Heartbeat) error {
	_, err := h.client.post(ctx, wire.HeartbeatPath, message, maxNoAnswer, heartbeatTimeout/2)
	h.counts.call(callHeartbeat, err)
	return err
}

// leave takes the gateway off the list, or every receipt would wait for it until
// its budget is over. Where that fails, it does.
func (h *heart) leave(ctx context.Context) {
	if h.at().Epoch == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	_ = h.beat(ctx, true)
}
