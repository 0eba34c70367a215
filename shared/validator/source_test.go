package validator

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/latchkey/latchkey/shared/apikey"
)

// fakeSource is a Source over a map. hook, where set, runs within a look-up
// after its answer was read, and may replace it.
type fakeSource struct {
	mu      sync.Mutex
	epoch   string
	head    int64
	records map[apikey.Fingerprint]apikey.Record
	hook    func(ctx context.Context, f apikey.Fingerprint, a Answer) (Answer, error)
	asked   atomic.Int64
}

func (s *fakeSource) set(f apikey.Fingerprint, r apikey.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = make(map[apikey.Fingerprint]apikey.Record)
	}
	s.records[f] = r
	s.head = max(s.head, r.Change)
}

func (s *fakeSource) Lookup(ctx context.Context, f apikey.Fingerprint) (Answer, error) {
	s.asked.Add(1)
	s.mu.Lock()
	r, found := s.records[f]
	r.Change = s.head // as a store does: the state and the head of one moment
	a, hook := Answer{Found: found, Epoch: s.epoch, Record: r}, s.hook
	s.mu.Unlock()
	if hook != nil {
		return hook(ctx, f, a)
	}
	return a, nil
}
