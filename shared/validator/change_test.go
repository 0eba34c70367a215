package validator

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

func TestAForgottenRecordIsNotUsedOnceMore(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.want(1, apikey.Valid, "first", 1)
		w.want(1, apikey.Valid, "first", 0)
		n := w.rename(1, "second")
		w.want(1, apikey.Valid, "first", 0) // not told yet
		w.Apply(Change{Number: n, IDs: []string{"key_1"}, Forget: true})
		w.want(1, apikey.Valid, "second", 1)
		w.want(1, apikey.Valid, "second", 0)
		w.source.onLookup(func(context.Context, Answer) (Answer, error) { return Answer{}, context.DeadlineExceeded })
		w.Apply(Change{Number: n + 1, IDs: []string{"usr_1"}, Forget: true})
		w.want(1, apikey.Undecided, "", 1)
	})
}

func TestOneChangeReachesAllThatDependsOnIt(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		for n := 1; n <= 9; n++ {
			w.want(n, apikey.Valid, "first", 1)
		}
		w.Apply(Change{Number: w.rename(3, "other"), IDs: []string{"key_3"}, Forget: true})
		w.want(2, apikey.Valid, "first", 0)
		w.Apply(Change{Number: w.rename(1, "second"), IDs: []string{"pln_7", "usr_1"}, Forget: true})
		w.want(1, apikey.Valid, "second", 1)
		for n := 4; n <= 9; n++ {
			w.want(n, apikey.Valid, "first", 1)
		}
	})
}

func TestARefreshedRecordIsUsedWhileOneLookUpRenewsIt(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.want(1, apikey.Valid, "first", 1)
		release := make(chan struct{})
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) { <-release; return a, nil })
		w.Apply(Change{Number: w.rename(1, "second"), IDs: []string{"key_1"}})
		before := w.source.asked.Load()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				verdict := w.Validate(context.Background(), request(1))
				if verdict.Code != apikey.Valid || verdict.Record.Key.Name != "first" {
					t.Errorf("got %v %q", verdict.Code, verdict.Record.Key.Name)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if asked := w.source.asked.Load() - before; asked != 1 {
			t.Errorf("%d look-ups, want 1", asked)
		}
		close(release)
		synctest.Wait()
		w.want(1, apikey.Valid, "second", 0)
	})
}

func TestAFailedRenewalIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.want(1, apikey.Valid, "first", 1)
		w.source.onLookup(func(context.Context, Answer) (Answer, error) { return Answer{}, context.Canceled })
		w.Apply(Change{Number: w.rename(1, "second"), IDs: []string{"key_1"}})
		w.want(1, apikey.Valid, "first", 1)
		w.want(1, apikey.Valid, "first", 0)
		w.live(renewalPause)
		w.want(1, apikey.Valid, "first", 1)
		w.source.onLookup(nil)
		w.live(renewalPause)
		w.want(1, apikey.Valid, "first", 1)
		w.want(1, apikey.Valid, "second", 0)
	})
}

// TestAChangeOvertakesALookUp: the answer was read before the change, and comes
// back after it.
func TestAChangeOvertakesALookUp(t *testing.T) {
	t.Parallel()
	for name, overtake := range map[string]func(w *world){
		"a forget": func(w *world) {
			w.Apply(Change{Number: w.rename(1, "second"), IDs: []string{"key_1"}, Forget: true})
		},
		"a change ahead of the feed, and a reset to before it": func(w *world) {
			n := w.rename(1, "second")
			w.Apply(Change{Number: n, IDs: []string{"key_1"}, Forget: true})
			w.Reset(Head{Number: n - 1, Epoch: "e"})
			w.Heard(Head{Number: n - 1, Epoch: "e"})
		},
		"a reset after a gap": func(w *world) {
			w.rename(1, "second")
			w.Reset(Head{Number: w.source.head, Epoch: "e"})
			w.hear()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
					if a.Record.Key.Name == "first" {
						overtake(w)
					}
					return a, nil
				})
				w.want(1, apikey.Valid, "second", 2)
				w.want(1, apikey.Valid, "second", 0)
			})
		})
	}
}

func TestChangesThatNeverCeaseEndInUndecided(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
			w.Apply(Change{Number: w.rename(1, "again"), IDs: []string{"key_1"}, Forget: true})
			return a, nil
		})
		w.want(1, apikey.Undecided, "", attempts)
		if n := w.metrics.undecided[byChange].Load(); n != 1 {
			t.Errorf("counted %d", n)
		}
	})
}

func TestAResetForgetsEverything(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.want(1, apikey.Valid, "first", 1)
		w.want(10, apikey.KeyNotFound, "", 1)
		w.rename(1, "second")
		w.source.set(print(10), record(10))
		w.Reset(Head{Number: w.source.head, Epoch: "e"})
		w.hear()
		w.want(1, apikey.Valid, "second", 1)
		w.want(10, apikey.Valid, "first", 1)
	})
}

// TestANewEpochMeetsNumbersThatFall: a restored backup begins again at lower
// numbers, which the old table must not hold against its records.
func TestANewEpochMeetsNumbersThatFall(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.Apply(Change{Number: 900, IDs: []string{"key_1", "usr_1"}, Forget: true})
		w.source.mu.Lock()
		w.source.head, w.source.epoch = 5, "restored"
		w.source.mu.Unlock()
		// Not told yet: an answer of the other epoch is used, but not kept.
		w.want(1, apikey.Valid, "first", 1)
		w.want(1, apikey.Valid, "first", 1)
		w.hear()
		w.want(1, apikey.Valid, "first", 1)
		w.want(1, apikey.Valid, "first", 0)
		w.Apply(Change{Number: w.rename(1, "second"), IDs: []string{"key_1"}, Forget: true})
		w.want(1, apikey.Valid, "second", 1)
	})
}

// TestALogThatWasCutUnderItsEpoch must not leave numbers behind that its
// records can never reach.
func TestALogThatWasCutUnderItsEpoch(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.Apply(Change{Number: 900, IDs: []string{"key_1"}, Forget: true})
		w.Heard(Head{Number: 900, Epoch: "e"})
		w.Reset(Head{Number: 5, Epoch: "e"})
		w.source.head = 5
		w.hear()
		w.want(1, apikey.Valid, "first", 1)
		w.want(1, apikey.Valid, "first", 0)
	})
}

func TestAnAnswerOlderThanTheFeedIsNotUsed(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.Reset(Head{Number: 50, Epoch: "e"})
		w.hear() // the Source still says 0, as a replica that lags would
		w.want(1, apikey.Undecided, "", attempts)
	})
}

func TestNoSuchKey(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.want(10, apikey.KeyNotFound, "", 1)
		w.want(10, apikey.KeyNotFound, "", 0)
		w.live(noneLifetime)
		w.want(10, apikey.KeyNotFound, "", 0)
		w.live(time.Second)
		w.want(10, apikey.KeyNotFound, "", 1)
		n := w.rename(1, "x") // an import
		w.source.set(print(10), record(10))
		w.want(10, apikey.KeyNotFound, "", 0)
		w.Apply(Change{Number: n, IDs: []string{noneID}, Forget: true})
		w.want(10, apikey.Valid, "first", 1)
		w.want(10, apikey.Valid, "first", 0)
		if n := w.unknown.entries.Len(); n != 0 {
			t.Errorf("%d entries of keys that do not exist", n)
		}
	})
}

func TestADeletedKeyLeavesTheCache(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.want(1, apikey.Valid, "first", 1)
		w.source.mu.Lock()
		delete(w.source.records, print(1))
		w.source.mu.Unlock()
		if verdict, _ := w.ask(1, apikey.Now); verdict.Code != apikey.KeyNotFound {
			t.Errorf("got %v", verdict.Code)
		}
		w.want(1, apikey.KeyNotFound, "", 0) // though the feed never told
	})
}

// TestRaces lets everything happen at once, for the race detector, and checks
// that no request that starts after a change was applied sees what was before.
func TestRaces(t *testing.T) {
	t.Parallel()
	w := &world{t: t, source: &fakeSource{epoch: "e"}}
	w.source.set(print(1), record(1))
	var err error
	if w.Validator, err = New(Config{Source: w.source, Now: time.Now, CacheMB: 1, StaleBudget: time.Minute}); err != nil {
		t.Fatal(err)
	}
	w.Reset(Head{Epoch: "e"})
	w.Heard(Head{Epoch: "e"})
	var last int64
	var mu sync.Mutex
	var all sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.Lock()
				floor := last
				mu.Unlock()
				verdict := w.Validate(context.Background(), request(1))
				if verdict.Code == apikey.Valid && verdict.Record.Change < floor {
					t.Errorf("a record of %d after change %d", verdict.Record.Change, floor)
				}
			}
		})
	}
	for n := range 2000 {
		number := w.rename(1, fmt.Sprint(n))
		if n%500 == 499 {
			w.Reset(Head{Number: number, Epoch: "e"})
		} else {
			w.Apply(Change{Number: number, IDs: []string{"key_1"}, Forget: true})
		}
		mu.Lock()
		last = number
		mu.Unlock()
		w.Heard(Head{Number: number, Epoch: "e"})
	}
	close(done)
	all.Wait()
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
