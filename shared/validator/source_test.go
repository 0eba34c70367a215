package validator

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/shared/apikey"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSource is a Source over a map. hook, where set, runs within a look-up
// after its answer was read, and may hold it up or replace it.
type fakeSource struct {
	mu      sync.Mutex
	epoch   string
	head    int64
	records map[apikey.Fingerprint]apikey.Record
	hook    func(ctx context.Context, a Answer) (Answer, error)
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

func (s *fakeSource) onLookup(hook func(context.Context, Answer) (Answer, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

func (s *fakeSource) Lookup(ctx context.Context, f apikey.Fingerprint) (Answer, error) {
	s.asked.Add(1)
	s.mu.Lock()
	r, found := s.records[f]
	r.Change = s.head // as a store does: the state and the head of one moment
	a, hook := Answer{Found: found, Epoch: s.epoch, Record: r}, s.hook
	s.mu.Unlock()
	if hook != nil {
		return hook(ctx, a)
	}
	return a, nil
}

// world is a validator with its Source and its feed, to be used in a synctest
// bubble, whose clock it runs on.
type world struct {
	*Validator
	t      *testing.T
	source *fakeSource
}

const budgetOfTests = time.Minute

// newWorld returns a world whose feed is live at number 0 and whose Source
// knows the keys print(1) to print(9).
func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, source: &fakeSource{epoch: "e"}}
	c := Config{Source: w.source, Now: time.Now, CacheMB: 1, StaleBudget: budgetOfTests}
	if change != nil {
		change(&c)
	}
	for n := range 9 {
		w.source.set(print(n+1), record(n+1))
	}
	var err error
	if w.Validator, err = New(c); err != nil {
		t.Fatal(err)
	}
	w.Reset(Head{Epoch: "e"})
	w.hear()
	t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// inWorld runs a test in a bubble with a moved clock.
func inWorld(t *testing.T, change func(*Config), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, change)) })
}

// print returns a fingerprint by number.
func print(n int) apikey.Fingerprint { return apikey.FingerprintOf(fmt.Sprint("key ", n)) }

// record returns the record of a good key, which depends on its own id and on
// its user's, "usr_1".
func record(n int) apikey.Record {
	id := fmt.Sprint("key_", n)
	return apikey.Record{
		DependsOn: apikey.NewStrings(id, "usr_1"),
		Key:       apikey.Key{ID: id, Name: "first", Environment: apikey.Live},
		User:      apikey.User{ID: "usr_1"},
	}
}

func request(n int) *apikey.Request {
	return &apikey.Request{Fingerprint: print(n), IP: netip.MustParseAddr("192.0.2.1")}
}

// ask judges key n and returns its verdict and how many look-ups that took.
func (w *world) ask(n int, f apikey.Freshness) (apikey.Verdict, int64) {
	before := w.source.asked.Load()
	req := request(n)
	req.Freshness = f
	verdict := w.Validate(context.Background(), req)
	synctest.Wait() // for a look-up behind it
	return verdict, w.source.asked.Load() - before
}

// want judges key n and compares the code, the record's name and the look-ups.
func (w *world) want(n int, code apikey.Code, name string, lookups int64) {
	w.t.Helper()
	verdict, asked := w.ask(n, apikey.Cached)
	if verdict.Code != code || verdict.Record.Key.Name != name || asked != lookups {
		w.t.Errorf("key %d: got %v %q after %d look-ups, want %v %q after %d",
			n, verdict.Code, verdict.Record.Key.Name, asked, code, name, lookups)
	}
}

// rename changes key n in the Source under a new change number, as the first
// half of a change: the feed tells of it later.
func (w *world) rename(n int, name string) int64 {
	w.source.mu.Lock()
	defer w.source.mu.Unlock()
	w.source.head++
	r := w.source.records[print(n)]
	r.Key.Name = name
	w.source.records[print(n)] = r
	return w.source.head
}

func (w *world) hear() { w.Heard(Head{Number: w.source.head, Epoch: w.source.epoch}) }

// live lets time pass while the feed is heard every second.
func (w *world) live(d time.Duration) {
	for ; d > 0; d -= time.Second {
		time.Sleep(min(d, time.Second))
		w.hear()
	}
}
