package validator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/shared/apikey"
)

const modelKeys = 2 // the last one is imported at some change: until then it is not found

// model is a control plane in a few lines: a log, keys whose state is the
// number of their last change, and look-ups that read and return in two steps.
type model struct {
	*Validator
	epoch    int
	log      []Change       // log[i] has number i+1
	told     int            // how many of them the feed has told
	ahead    map[int64]bool // changes that were applied when they were made
	followed bool           // whether the feed tells of this epoch
	heard    time.Time
	mu       sync.Mutex
	pending  []*lookup // under mu, for look-ups begin on their own
	requests []*asked
}

type lookup struct {
	f      apikey.Fingerprint
	answer *Answer // set when it has read
	done   chan error
}

// asked is a request and what its answer may not be older than.
type asked struct {
	key     int
	epoch   int
	floor   int64 // the record's change number
	present bool  // the key is known to exist
	verdict apikey.Verdict
	done    chan struct{}
}

func newModel(t *rapid.T) *model {
	m := &model{epoch: 1, ahead: map[int64]bool{}}
	v, err := New(Config{Source: m, Now: time.Now, CacheMB: 1, StaleBudget: 10 * time.Second, LookupTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	m.Validator = v
	return m
}

// Lookup waits until the test lets it read and return.
func (m *model) Lookup(ctx context.Context, f apikey.Fingerprint) (Answer, error) {
	l := &lookup{f: f, done: make(chan error, 1)}
	m.mu.Lock()
	m.pending = append(m.pending, l)
	m.mu.Unlock()
	select {
	case err := <-l.done:
		if err != nil {
			return Answer{}, err
		}
		return *l.answer, nil
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
}

func (m *model) state(f apikey.Fingerprint) *Answer {
	a := &Answer{Epoch: fmt.Sprintf("%03d", m.epoch)}
	a.Record.Change = int64(len(m.log))
	for k := range modelKeys {
		if print(k) == f && m.exists(k, len(m.log)) {
			a.Found, a.Record = true, record(k)
			a.Record.Change, a.Record.Key.Name = int64(len(m.log)), a.Epoch
		}
	}
	return a
}

// exists says whether a key does after the first n changes.
func (m *model) exists(k, n int) bool {
	if k < modelKeys-1 {
		return true
	}
	for _, c := range m.log[:n] {
		if c.IDs[0] == noneID {
			return true
		}
	}
	return false
}
