package edge

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/meter"
	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

// Edge is the connection of one gateway process to its control plane, with the
// validator that it keeps. It is also a prometheus.Collector, of the validator's
// figures too.
type Edge struct {
	validator *validator.Validator
	source    *source
	feed      *feed
	heart     *heart
	snapshot  *snapshot
	meter     *meter.Meter
	counts    *counts
}

// lookupTimeout is the validator's own default.
const lookupTimeout = 500 * time.Millisecond

// New makes an Edge. It reads the file of certificates and nothing else, and
// starts nothing. Until Run has reached a control plane, or found a snapshot,
// every request is Undecided.
func New(c Config) (*Edge, error) {
	cl, err := newClient(&c)
	if err != nil {
		return nil, err
	}
	e := &Edge{counts: newCounts(), meter: meter.New(c.Now)}
	if c.Validator.LookupTimeout == 0 {
		c.Validator.LookupTimeout = lookupTimeout
	}
	e.source = newSource(cl, c.Validator.LookupTimeout, e.counts)
	c.Validator.Source, c.Validator.Now, c.Validator.Meter = e.source, c.Now, e.meter
	if e.validator, err = validator.New(c.Validator); err != nil {
		return nil, err
	}
	self := wire.Gateway{
		Instance: uuid.NewString(), Name: c.Gateway, Version: c.Version,
		BudgetMS: c.Validator.StaleBudget.Milliseconds(),
	}
	e.feed = newFeed(cl, e.validator, self, e.counts)
	e.heart = newHeart(cl, self, e.feed.at, e.counts)
	e.feed.heart = e.heart
	if c.Snapshot != "" {
		e.snapshot = newSnapshot(&c, e, self)
		e.feed.snapshot, e.heart.snapshot = e.snapshot, e.snapshot
	}
	return e, nil
}

// Run follows the control plane and answers look-ups until ctx ends. It then
// waits for everything that it started, saves what is cached, forgets it, tells of
// the last uses and says goodbye, so that no receipt waits for this gateway, unless it leaves a snapshot
// behind, by which it may go on: doors are to be closed before. It runs once.
func (e *Edge) Run(ctx context.Context) error {
	reporting, judged := context.WithCancel(context.WithoutCancel(ctx))
	defer judged()
	var running, reports sync.WaitGroup
	reports.Go(func() { e.meter.Run(reporting, e.reportUses, nil) })
	for _, run := range []func(context.Context){e.source.run, e.feed.run, e.heart.run, e.snapshot.run} {
		running.Go(func() { run(ctx) })
	}
	running.Wait()
	left := e.snapshot.end(ctx)
	e.validator.Reset(validator.Head{})
	judged()
	reports.Wait()
	if !left {
		e.heart.leave(ctx)
	}
	e.source.client.http.CloseIdleConnections()
	return e.validator.Close(context.WithoutCancel(ctx))
}

// Validator judges requests by what this edge knows.
func (e *Edge) Validator() *validator.Validator { return e.validator }

// Prefixes are those of every key that was issued. Nil means that they are not
// known yet: what a client shows can then be neither taken for a key nor refused
// as none, and the door answers Undecided.
func (e *Edge) Prefixes() apikey.Prefixes {
	if p := e.feed.prefixes.Load(); p != nil {
		return *p
	}
	return nil
}

// Heard is closed when the prefixes are known: by the first word of a control
// plane, or by a snapshot.
func (e *Edge) Heard() <-chan struct{} { return e.feed.heard }

// Describe implements prometheus.Collector.
func (e *Edge) Describe(ch chan<- *prometheus.Desc) {
	e.validator.Describe(ch)
	e.meter.Describe(ch)
	for _, c := range e.counts.all() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (e *Edge) Collect(ch chan<- prometheus.Metric) {
	e.validator.Collect(ch)
	e.meter.Collect(ch)
	for _, c := range e.counts.all() {
		c.Collect(ch)
	}
}
