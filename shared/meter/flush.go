package meter

import (
	"context"
	"time"
)

const (
	// MaxBatch is how many uses are handed on at once. A last use is a row in each
	// index of a large table: among a million keys 500 of them take a PostgreSQL
	// 0.2 s, so that a process never takes more than a tenth of its time.
	MaxBatch = 500
	// Beat is the time between two batches.
	Beat = 2 * time.Second

	sinkTimeout = 5 * time.Second
	// endTimeout bounds the last handing on of a process that ends.
	endTimeout = 2 * time.Second
)

// Sink takes uses in, at most MaxBatch, of each key one. It returns those that it
// could not take now, and an error where it took none; both are handed on once
// more. It must return when ctx ends.
type Sink func(ctx context.Context, uses []Use) (left []Use, err error)

// Run hands uses on at every beat until ctx ends, and then all that are left, as
// far as that goes in two seconds: whoever uses keys is to end before. failed
// hears of the first failure in a row; it may be nil. It runs once.
func (m *Meter) Run(ctx context.Context, sink Sink, failed func(error)) {
	tick := time.NewTicker(Beat)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			m.end(ctx, sink)
			return
		case <-tick.C:
		}
		_, err := m.flush(ctx, sink, m.now())
		if err != nil && !failing && failed != nil && ctx.Err() == nil {
			failed(err)
		}
		failing = err != nil
	}
}

// end hands on everything, due or not. What a Sink does not take is lost.
func (m *Meter) end(ctx context.Context, sink Sink) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	for {
		n, err := m.flush(ctx, sink, m.now().Add(Resolution))
		if n == 0 || err != nil {
			return
		}
	}
}

// flush hands on a batch of what is due at a moment, and returns how many the
// Sink took.
func (m *Meter) flush(ctx context.Context, sink Sink, at time.Time) (taken int, err error) {
	batch := m.take(at)
	if len(batch) == 0 {
		return 0, nil
	}
	uses := m.read(batch)
	ctx, cancel := context.WithTimeout(ctx, sinkTimeout)
	defer cancel()
	left, err := sink(ctx, uses)
	if err != nil {
		left = uses
	}
	m.settle(batch, uses, left)
	return len(uses) - len(left), err
}

// take takes the uses out of the queues that are due at a moment, the longest due
// first, at most MaxBatch. On its way it forgets keys that were not used since
// they were handed on.
func (m *Meter) take(at time.Time) (batch []*use) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(batch) < MaxBatch {
		w, h := m.waiting.first(at), m.handed.first(at)
		switch {
		case h != nil && !h.news:
			delete(m.uses, m.handed.pop().KeyID)
		case h != nil && (w == nil || h.due.Before(w.due)):
			batch = append(batch, m.handed.pop())
		case w != nil:
			batch = append(batch, m.waiting.pop())
		default:
			return batch
		}
	}
	return batch
}

// read copies what a batch says now.
func (m *Meter) read(batch []*use) []Use {
	m.mu.Lock()
	defer m.mu.Unlock()
	uses := make([]Use, len(batch))
	for i, u := range batch {
		uses[i], u.news = u.Use, false
	}
	return uses
}

// settle puts a batch back into the queues: what was left to the front, with
// what came meanwhile.
func (m *Meter) settle(batch []*use, uses, left []Use) {
	again := make(map[string]bool, len(left))
	for _, u := range left {
		again[u.KeyID] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.now().Add(Resolution)
	var front queue
	for _, u := range batch {
		if again[u.KeyID] {
			u.news = true
			front.push(u)
			continue
		}
		u.due = next
		m.handed.push(u)
	}
	m.waiting = append(front, m.waiting...)
	m.figures.left += uint64(len(left))
	m.figures.handed += uint64(len(uses) - len(left))
}
