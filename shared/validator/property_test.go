package validator

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/shared/apikey"
)

// TestNoInterleavingUsesWhatWasForgotten drives a validator through random
// interleavings of changes, their delivery, resets, restores, requests, steps of
// look-ups and of the clock, and compares every verdict with what the request
// may rely on at its start.
func TestNoInterleavingUsesWhatWasForgotten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			m := newModel(t)
			actions := []func(*rapid.T){
				m.change, m.change, m.commit, m.deliver, m.deliver, m.hear, m.hear, m.hear, m.gap, m.restore,
				m.request, m.request, m.request, m.request, m.read, m.read, m.returnOne, m.returnOne, m.returnOne,
				m.clock,
			}
			for range rapid.IntRange(1, 200).Draw(t, "steps") {
				rapid.SampledFrom(actions).Draw(t, "action")(t)
				m.check(t)
			}
			m.finish(t)
		})
	})
}

func (m *model) change(t *rapid.T) {
	ids := []string{"key_0", "key_1", "usr_1", noneID}
	id := rapid.SampledFrom(ids).Draw(t, "id")
	m.log = append(m.log, Change{Number: int64(len(m.log) + 1), IDs: []string{id}, Forget: id == noneID || rapid.Bool().Draw(t, "forget")})
}

// commit makes a change and applies it at once, as the replica does that made it.
func (m *model) commit(t *rapid.T) {
	m.change(t)
	c := m.log[len(m.log)-1]
	m.Apply(c)
	m.ahead[c.Number] = true
}

// lastForget is the last that forbids older records, of the first n changes and
// those that were applied ahead of the feed.
func (m *model) lastForget(k, n int) int64 {
	for i := len(m.log) - 1; i >= 0; i-- {
		if c := m.log[i]; (i < n || m.ahead[c.Number]) && c.Forget && (c.IDs[0] == fmt.Sprint("key_", k) || c.IDs[0] == "usr_1") {
			return c.Number
		}
	}
	return 0
}

// restore goes back to a backup: a shorter log under another epoch.
func (m *model) restore(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "restore at 0") != 0 {
		return
	}
	m.epoch++
	m.log = m.log[:rapid.IntRange(0, len(m.log)).Draw(t, "backup")]
	m.followed, m.ahead = false, map[int64]bool{}
}

func (m *model) deliver(*rapid.T) {
	if m.followed && m.told < len(m.log) {
		m.Apply(m.log[m.told])
		m.told++
	}
}

func (m *model) head() Head {
	return Head{Number: int64(len(m.log)), Epoch: fmt.Sprintf("%03d", m.epoch)}
}

func (m *model) hear(t *rapid.T) {
	if !m.followed {
		m.reset()
	}
	for m.told < len(m.log) {
		m.deliver(t)
	}
	m.Heard(m.head())
	m.heard = time.Now()
}

// gap is a feed that was away too long.
func (m *model) gap(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "gap at 0") == 0 {
		m.reset()
	}
}

func (m *model) reset() {
	m.Reset(m.head())
	m.followed, m.told, m.heard = true, len(m.log), time.Time{}
}

func (m *model) request(t *rapid.T) {
	k := rapid.IntRange(0, modelKeys-1).Draw(t, "key")
	fresh := rapid.SampledFrom([]apikey.Freshness{apikey.Cached, apikey.Cached, apikey.Recent, apikey.Now}).Draw(t, "freshness")
	a := &asked{key: k, epoch: m.epoch, done: make(chan struct{})}
	switch {
	case fresh == apikey.Now: // only what the Source says from here on will do
		a.floor, a.present = int64(len(m.log)), m.exists(k, len(m.log))
	case time.Since(m.heard) > 10*time.Second: // what nothing forbids, told or not
		a.floor, a.present = m.lastForget(k, len(m.log)), m.exists(k, len(m.log))
	case m.followed:
		a.floor, a.present = m.lastForget(k, m.told), m.exists(k, m.told)
	default:
		a.epoch = 0 // the feed does not know of the restore: any older state will do
	}
	m.requests = append(m.requests, a)
	req := request(k)
	req.Freshness = fresh
	go func() {
		a.verdict = m.Validate(context.Background(), req)
		close(a.done)
	}()
}

func (m *model) read(t *rapid.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pending) > 0 {
		l := m.pending[rapid.IntRange(0, len(m.pending)-1).Draw(t, "reads")]
		if l.answer == nil {
			l.answer = m.state(l.f)
		}
	}
}

func (m *model) returnOne(t *rapid.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pending) == 0 {
		return
	}
	n := rapid.IntRange(0, len(m.pending)-1).Draw(t, "returns")
	l := m.pending[n]
	m.pending = append(m.pending[:n:n], m.pending[n+1:]...)
	switch {
	case rapid.IntRange(0, 9).Draw(t, "fails at 0") == 0:
		l.done <- errAway
	default:
		if l.answer == nil {
			l.answer = m.state(l.f)
		}
		l.done <- nil
	}
}

func (m *model) returnAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.pending {
		l.answer = m.state(l.f)
		l.done <- nil
	}
	m.pending = nil
}

func (m *model) clock(t *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{
		0, time.Millisecond, time.Millisecond, 300 * time.Millisecond, time.Second, 4 * time.Second, 11 * time.Second, 40 * time.Second,
	}).Draw(t, "step"))
}

// check looks at every request that has been answered.
func (m *model) check(t *rapid.T) {
	synctest.Wait()
	waiting := m.requests[:0]
	for _, a := range m.requests {
		select {
		case <-a.done:
			m.judge(t, a)
		default:
			waiting = append(waiting, a)
		}
	}
	m.requests = waiting
}

func (m *model) judge(t *rapid.T, a *asked) {
	switch a.verdict.Code {
	case apikey.Undecided:
	case apikey.KeyNotFound:
		if a.present && a.epoch == m.epoch {
			t.Fatalf("key %d: not found, but it was there before the request", a.key)
		}
	case apikey.Valid:
		r := &a.verdict.Record
		if r.Key.Name == fmt.Sprintf("%03d", a.epoch) && r.Change < a.floor {
			t.Fatalf("key %d: judged by a record of %d, but %d was known", a.key, r.Change, a.floor)
		}
		if r.Key.Name < fmt.Sprintf("%03d", a.epoch) {
			t.Fatalf("key %d: judged by a record of epoch %s in epoch %d", a.key, r.Key.Name, a.epoch)
		}
	default:
		t.Fatalf("got %v", a.verdict.Code)
	}
}

// finish lets everything come to rest, and then every key must be decided.
func (m *model) finish(t *rapid.T) {
	time.Sleep(time.Minute) // whoever waits gives up, and the budget is full again
	m.returnAll()
	m.check(t)
	m.hear(t)
	for k := range modelKeys {
		a := &asked{key: k, epoch: m.epoch, floor: 0, present: m.exists(k, len(m.log)), done: make(chan struct{})}
		go func() {
			a.verdict = m.Validate(context.Background(), request(k))
			close(a.done)
		}()
		for range 2 * attempts {
			synctest.Wait()
			m.returnAll()
		}
		<-a.done
		if a.verdict.Code == apikey.Undecided {
			t.Fatalf("key %d: undecided, with the Source at hand and the feed whole", k)
		}
		m.judge(t, a)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
