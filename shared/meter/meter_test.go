package meter

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/shared/apikey"
)

// stage is a meter of a few keys with a clock that is moved, and a sink.
type stage struct {
	*Meter
	t     *testing.T
	clock time.Time
	heard [][]Use
	// sink answers in the place of one that takes everything.
	sink Sink
}

func newStage(t *testing.T, bound int) *stage {
	s := &stage{t: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s.Meter = newMeter(func() time.Time { return s.clock }, bound)
	s.sink = func(context.Context, []Use) ([]Use, error) { return nil, nil }
	return s
}

func (s *stage) later(d time.Duration) { s.clock = s.clock.Add(d) }

func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

// use is a request of a key from an address.
func (s *stage) use(key string, from int) {
	s.Note(s.clock, key, &apikey.Request{IP: addr(from)})
}

// beat hands on what is due, and returns "key@seconds since noon/host" of each.
func (s *stage) beat() []string {
	s.t.Helper()
	var told []string
	_, _ = s.flush(s.t.Context(), func(ctx context.Context, uses []Use) ([]Use, error) {
		s.heard = append(s.heard, uses)
		told = s.text(uses)
		return s.sink(ctx, uses)
	}, s.clock)
	return told
}

func (s *stage) text(uses []Use) (all []string) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, u := range uses {
		host := "?"
		if u.IP.IsValid() {
			host = fmt.Sprint(u.IP.As4()[3])
		}
		all = append(all, fmt.Sprintf("%s@%d/%s", u.KeyID, int(u.At.Sub(noon).Seconds()), host))
	}
	return all
}

// tells fails the test unless the next beat hands on just this.
func (s *stage) tells(when string, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.beat()); diff != "" {
		s.t.Errorf("%s: %s", when, diff)
	}
}

func TestAKeyIsHandedOnOnceAMinuteWithItsLatestUse(t *testing.T) {
	t.Parallel()
	s := newStage(t, 10)
	s.tells("nothing was used")
	s.use("a", 1)
	s.later(time.Second)
	s.use("a", 2)
	s.tells("the latest of two", "a@1/2")
	s.tells("nothing new")
	for range 58 {
		s.later(time.Second)
		s.use("a", 3)
	}
	s.tells("within the minute")
	s.later(2 * time.Second)
	s.tells("after the minute", "a@59/3")
	s.later(time.Hour)
	s.use("a", 4)
	s.tells("long after", "a@3661/4")
}

// A use is exact to the second: what comes within one counts with its first.
func TestAKeyIsNotedOnceASecond(t *testing.T) {
	t.Parallel()
	s := newStage(t, 10)
	s.use("a", 1)
	s.later(999 * time.Millisecond)
	s.use("a", 2)
	s.use("b", 2)
	s.tells("the second", "a@0/1", "b@0/2")
}

func TestATimeNeverMovesBackNorAhead(t *testing.T) {
	t.Parallel()
	s := newStage(t, 10)
	add := func(ahead time.Duration, from int) { s.Add(Use{KeyID: "a", At: s.clock.Add(ahead), IP: addr(from)}) }
	s.later(100 * time.Second)
	add(time.Hour, 1)
	add(-time.Second, 2)
	s.tells("a clock ahead of ours", "a@100/1")
	s.later(2 * time.Minute)
	add(-3*time.Minute, 3)
	s.tells("an older one")
	add(-time.Minute, 4)
	s.tells("a newer one", "a@160/4")
}

// The longest unheard of come first, and a beat is a batch.
func TestABeatIsBounded(t *testing.T) {
	t.Parallel()
	s := newStage(t, 3*MaxBatch)
	for n := range MaxBatch + 1 {
		s.use(fmt.Sprint("old ", n), 1)
	}
	if n := len(s.beat()); n != MaxBatch {
		t.Errorf("the first beat hands on %d", n)
	}
	s.later(time.Second)
	s.use("new", 1)
	s.use("old 0", 1)
	s.tells("the one that was left, before the new one", fmt.Sprintf("old %d@0/1", MaxBatch), "new@1/1")
	s.later(Resolution)
	s.use("newest", 1)
	s.tells("a key whose minute is over, before the newest", "old 0@1/1", "newest@61/1")
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := newStage(t, 3)
	for n := range 3 {
		s.use(fmt.Sprint(n), 1)
	}
	s.use("no room", 1)
	s.tells("the first three", "0@0/1", "1@0/1", "2@0/1")
	s.later(time.Second)
	s.use("3", 1)
	if _, kept := s.uses["0"]; kept || len(s.uses) != 3 {
		t.Errorf("what was handed on first did not leave first: %v", s.uses)
	}
	s.tells("it had room after they were handed on", "3@1/1")
	s.later(Resolution)
	s.tells("nothing")
	if len(s.uses)+len(s.handed)+len(s.waiting) != 0 {
		t.Errorf("keys that nobody uses are kept: %v", s.uses)
	}
	if s.figures.lost != 1 || s.figures.handed != 4 {
		t.Errorf("%+v", s.figures)
	}
}

func TestWhatWasNotTakenIsHandedOnOnceMore(t *testing.T) {
	t.Parallel()
	s := newStage(t, 10)
	s.use("a", 1)
	s.use("b", 1)
	s.sink = func(context.Context, []Use) ([]Use, error) {
		s.later(time.Second)
		s.use("b", 2) // while it is being handed on
		return nil, errors.New("away")
	}
	s.tells("a sink that is away", "a@0/1", "b@0/1")
	s.use("c", 1)
	s.sink = func(_ context.Context, uses []Use) ([]Use, error) { return uses[1:2], nil }
	s.tells("a sink that leaves one", "a@0/1", "b@1/2", "c@1/1")
	s.sink = func(context.Context, []Use) ([]Use, error) { return nil, nil }
	s.tells("a sink that takes it", "b@1/2")
	s.later(Resolution)
	s.tells("nothing is left")
}

func TestNoteAsksAClientOnceAMinute(t *testing.T) {
	t.Parallel()
	s := newStage(t, 10)
	asks := 0
	note := func(c *costly) {
		c.ip = func() netip.Addr { asks++; return addr(asks) }
		s.Note(s.clock, "a", &apikey.Request{Client: c})
	}
	for range 120 {
		note(&costly{})
		s.later(time.Second)
	}
	if asks != 2 {
		t.Errorf("asked %d times in two minutes", asks)
	}
	s.tells("a use with the address of the minute", "a@119/2")
	s.later(59 * time.Second)
	note(&costly{known: addr(9)})
	s.later(59 * time.Second)
	note(&costly{})
	if asks != 2 {
		t.Errorf("an address that was known already was asked for")
	}
	s.later(2 * time.Second)
	s.tells("the address that was known", "a@238/9")
}

// costly is a client that counts what it is asked.
type costly struct {
	known netip.Addr
	ip    func() netip.Addr
}

func (c *costly) IP() netip.Addr              { return c.ip() }
func (c *costly) KnownIP() (netip.Addr, bool) { return c.known, c.known.IsValid() }
func (c *costly) Method() string              { return "" }
func (c *costly) Path() string                { return "" }
