package validator

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

func TestOneLookUpForAllWhoWait(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
			time.Sleep(100 * time.Millisecond)
			return a, nil
		})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if verdict := w.Validate(context.Background(), request(1)); verdict.Code != apikey.Valid {
					t.Errorf("got %v", verdict.Code)
				}
			})
		}
		all.Wait()
		if n := w.source.asked.Load(); n != 1 {
			t.Errorf("%d look-ups, want 1", n)
		}
	})
}

// TestTheFirstCallerLeaves: its look-up goes on for the others.
func TestTheFirstCallerLeaves(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.source.onLookup(func(ctx context.Context, a Answer) (Answer, error) {
			time.Sleep(100 * time.Millisecond)
			return a, ctx.Err()
		})
		ctx, leave := context.WithCancel(context.Background())
		verdicts := make(chan apikey.Verdict, 2)
		go func() { verdicts <- w.Validate(ctx, request(1)) }()
		synctest.Wait()
		go func() { verdicts <- w.Validate(context.Background(), request(1)) }()
		synctest.Wait()
		leave()
		if verdict := <-verdicts; verdict.Code != apikey.Undecided {
			t.Errorf("who left: got %v", verdict.Code)
		}
		if verdict := <-verdicts; verdict.Code != apikey.Valid {
			t.Errorf("who stayed: got %v", verdict.Code)
		}
	})
}

func TestASourceThatFails(t *testing.T) {
	t.Parallel()
	never := func(ctx context.Context, _ Answer) (Answer, error) { <-ctx.Done(); return Answer{}, ctx.Err() }
	for name, c := range map[string]struct {
		hook    func(context.Context, Answer) (Answer, error)
		outcome lookupOutcome
		takes   time.Duration
	}{
		"fails":                       {away, lookupError, 0},
		"hangs":                       {never, lookupTimeout, 500 * time.Millisecond},
		"panics":                      {func(context.Context, Answer) (Answer, error) { panic("a defect") }, lookupPanic, 0},
		"exits":                       {func(context.Context, Answer) (Answer, error) { runtime.Goexit(); return Answer{}, nil }, lookupPanic, 0},
		"garbage":                     {garbage, lookupError, 0},
		"pretends to fail with a key": {func(_ context.Context, a Answer) (Answer, error) { return a, errAway }, lookupError, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.source.onLookup(c.hook)
				start := time.Now()
				var all sync.WaitGroup
				for range 10 {
					all.Go(func() {
						verdict := w.Validate(context.Background(), request(1))
						if verdict.Code != apikey.Undecided || verdict.RetryAfter != retryAfter {
							t.Errorf("got %v, again after %v", verdict.Code, verdict.RetryAfter)
						}
					})
				}
				all.Wait()
				synctest.Wait()
				if took := time.Since(start); took != c.takes {
					t.Errorf("took %v, want %v", took, c.takes)
				}
				if w.metrics.lookups[c.outcome].Load() == 0 || w.metrics.undecided[bySource].Load() != 10 {
					t.Error("not counted")
				}
				w.source.onLookup(nil)
				w.want(1, apikey.Valid, "first", 1)
			})
		})
	}
}

// garbage is a record in a state that does not exist.
func garbage(_ context.Context, a Answer) (Answer, error) {
	a.Record.Subscription.Status = 99
	return a, nil
}

// TestASourceThatIgnoresItsContext cannot hold up those who wait.
func TestASourceThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
			time.Sleep(time.Hour)
			return a, nil
		})
		start := time.Now()
		if verdict := w.Validate(context.Background(), request(1)); verdict.Code != apikey.Undecided {
			t.Errorf("got %v", verdict.Code)
		}
		if took := time.Since(start); took != 500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		closing, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := w.Close(closing); err == nil {
			t.Error("Close did not tell that a look-up outlasts it")
		}
	})
}

func TestLookUpsAndThoseWhoWaitAreBounded(t *testing.T) {
	t.Parallel()
	bounds := func(c *Config) { c.Lookups, c.Waiting = 3, 20 }
	inWorld(t, bounds, func(t *testing.T, w *world) {
		var running, most atomic.Int64
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(10 * time.Millisecond)
			return a, nil
		})
		var codes [apikey.Valid + 1]atomic.Int64
		var all sync.WaitGroup
		for n := range 50 {
			all.Go(func() { codes[w.Validate(context.Background(), request(100+n)).Code].Add(1) })
		}
		all.Wait()
		if most.Load() != 3 {
			t.Errorf("%d look-ups at the same time, want 3", most.Load())
		}
		if none, no := codes[apikey.KeyNotFound].Load(), codes[apikey.Undecided].Load(); none != 20 || no != 30 {
			t.Errorf("%d decided and %d not, want 20 and 30", none, no)
		}
		if n := w.metrics.undecided[byBusy].Load(); n != 30 {
			t.Errorf("counted %d", n)
		}
		w.want(1, apikey.Valid, "first", 1) // and it recovers
	})
}

// TestCallersWhoLeaveDoNotPileUpLookUps: their look-ups go on, and are bounded
// like those who wait.
func TestCallersWhoLeaveDoNotPileUpLookUps(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *Config) { c.Waiting = 5 }, func(t *testing.T, w *world) {
		w.source.onLookup(func(ctx context.Context, _ Answer) (Answer, error) { <-ctx.Done(); return Answer{}, ctx.Err() })
		gone, leave := context.WithCancel(context.Background())
		leave()
		for n := range 50 {
			w.Validate(gone, request(n))
		}
		synctest.Wait()
		if n := w.source.asked.Load(); n > 5 {
			t.Errorf("%d look-ups for nobody", n)
		}
	})
}

// TestRenewalsLeaveRoom: they take half of the turns at most.
func TestRenewalsLeaveRoom(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *Config) { c.Lookups = 4 }, func(t *testing.T, w *world) {
		for n := 1; n <= 8; n++ {
			w.want(n, apikey.Valid, "first", 1)
		}
		release := make(chan struct{})
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
			if a.Found {
				<-release
			}
			return a, nil
		})
		w.Apply(Change{Number: w.rename(1, "second"), IDs: []string{"usr_1"}})
		asked := int64(0)
		for n := 1; n <= 8; n++ {
			_, a := w.ask(n, apikey.Cached)
			asked += a
		}
		if asked != 2 {
			t.Errorf("%d renewals, want 2", asked)
		}
		w.want(10, apikey.KeyNotFound, "", 1)
		close(release)
		synctest.Wait()
	})
}

func TestCloseWaitsAndThenOnlyTheCacheAnswers(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
			time.Sleep(100 * time.Millisecond)
			return a, nil
		})
		go w.Validate(context.Background(), request(1))
		synctest.Wait()
		start := time.Now()
		if err := w.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("closed after %v", took)
		}
		w.want(1, apikey.Valid, "first", 0)
		w.want(2, apikey.Undecided, "", 0)
	})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	good := Config{Source: &fakeSource{}, Now: time.Now, CacheMB: 1}
	for name, spoil := range map[string]func(*Config){
		"no source": func(c *Config) { c.Source = nil }, "no clock": func(c *Config) { c.Now = nil },
		"a negative budget": func(c *Config) { c.StaleBudget = -1 }, "a negative cache": func(c *Config) { c.CacheMB = -1 },
		"a negative rate": func(c *Config) { c.MissRate = -1 },
	} {
		c := good
		spoil(&c)
		if v, err := New(c); err == nil || v != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
