package meter

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// Whoever ends hands on everything, due or not, once it has ended.
func TestTheEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t, 3*MaxBatch)
	for n := range 2*MaxBatch + 1 {
		s.use(fmt.Sprint(n), 1)
	}
	s.beat()
	s.later(time.Second)
	s.use("0", 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	told := map[string]int{}
	s.Run(ctx, func(ctx context.Context, uses []Use) ([]Use, error) {
		for _, u := range uses {
			told[u.KeyID]++
		}
		return nil, ctx.Err()
	}, nil)
	if told["0"] != 1 || told["1"] != 0 || len(told) != MaxBatch+2 {
		t.Errorf("%d keys at the end", len(told))
	}
}

// Whatever runs at the same time, the last use of each key is handed on.
func TestUsesAtTheSameTime(t *testing.T) {
	t.Parallel()
	start := time.Now()
	var tick atomic.Int64 // each use is a second after the one before
	now := func() time.Time { return start.Add(time.Duration(tick.Load()) * time.Second) }
	m := New(now)
	last := map[string]time.Time{}
	sink := func(_ context.Context, uses []Use) ([]Use, error) {
		for _, u := range uses {
			if u.At.Before(last[u.KeyID]) {
				t.Errorf("%s moved back", u.KeyID)
			}
			last[u.KeyID] = u.At
		}
		if len(uses)%2 == 1 {
			return uses[:1], nil
		}
		return nil, nil
	}
	const users, rounds = 8, 500
	done := make(chan struct{})
	for range users {
		go func() {
			defer func() { done <- struct{}{} }()
			for n := range rounds {
				at := start.Add(time.Duration(tick.Add(1)) * time.Second)
				m.Note(at, fmt.Sprint(n%7), &apikey.Request{})
				m.Add(Use{KeyID: fmt.Sprint(n % 5), At: at})
			}
		}()
	}
	for left := users; left > 0; {
		select {
		case <-done:
			left--
		default:
			_, _ = m.flush(t.Context(), sink, now())
		}
	}
	m.mu.Lock()
	want := map[string]time.Time{}
	for key, u := range m.uses {
		want[key] = u.At
	}
	m.mu.Unlock()
	m.end(t.Context(), sink)
	for key, at := range want {
		if !last[key].Equal(at) {
			t.Errorf("the last use of %s was not handed on", key)
		}
	}
	if len(last) != 7 {
		t.Errorf("%d keys", len(last))
	}
}
