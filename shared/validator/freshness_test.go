package validator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

var errAway = errors.New("the source is away")

func away(context.Context, Answer) (Answer, error) { return Answer{}, errAway }

func TestFreshness(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		freshness apikey.Freshness
		age       time.Duration
		lookups   int64
	}{
		"cached, just looked up":      {apikey.Cached, 0, 0},
		"cached, old":                 {apikey.Cached, budgetOfTests, 0},
		"cached, older than a record": {apikey.Cached, budgetOfTests + time.Second, 1}, // behind it
		"recent, just looked up":      {apikey.Recent, 0, 0},
		"recent, a second old":        {apikey.Recent, recent, 0},
		"recent, older":               {apikey.Recent, 2 * recent, 1},
		"now":                         {apikey.Now, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.want(1, apikey.Valid, "first", 1)
				w.rename(1, "second") // and the feed does not tell
				w.live(c.age)
				verdict, asked := w.ask(1, c.freshness)
				if verdict.Code != apikey.Valid || asked != c.lookups {
					t.Errorf("got %v after %d look-ups, want %d", verdict.Code, asked, c.lookups)
				}
				fresh := c.freshness != apikey.Cached && c.lookups > 0
				if got := verdict.Record.Key.Name; (got == "second") != fresh {
					t.Errorf("judged by the %s record", got)
				}
				if c.lookups > 0 {
					w.want(1, apikey.Valid, "second", 0)
				}
			})
		})
	}
}

// TestNowDoesNotShareALookUpThatBeganBefore: the one under way has read its
// answer before the request came.
func TestNowDoesNotShareALookUpThatBeganBefore(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		release := make(chan struct{})
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
			<-release
			time.Sleep(time.Millisecond)
			return a, nil
		})
		names := make(chan string, 3)
		judge := func(f apikey.Freshness) {
			req := request(1)
			req.Freshness = f
			verdict := w.Validate(context.Background(), req)
			names <- verdict.Record.Key.Name
		}
		go judge(apikey.Cached)
		synctest.Wait()
		w.rename(1, "second")
		go judge(apikey.Now)
		go judge(apikey.Now)
		synctest.Wait()
		close(release)
		got := map[string]int{<-names: 1}
		got[<-names]++
		got[<-names]++
		if got["first"] != 1 || got["second"] != 2 || w.source.asked.Load() != 2 {
			t.Errorf("got %v after %d look-ups", got, w.source.asked.Load())
		}
	})
}

// TestStaleness is what a cached record and a cached "no such key" are worth
// after a silence of the feed, with the Source at hand and away.
func TestStaleness(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		budget  time.Duration
		silence time.Duration
		lookups int64       // with the Source at hand
		away    apikey.Code // without
	}{
		"live":                        {time.Minute, feedLost, 0, apikey.Valid},
		"lost, within the budget":     {time.Minute, feedLost + 1, 0, apikey.Valid},
		"lost, at the budget's end":   {time.Minute, time.Minute, 0, apikey.Valid},
		"lost, after the budget":      {time.Minute, time.Minute + 1, 1, apikey.Undecided},
		"no budget, live":             {0, feedLost, 0, apikey.Valid},
		"no budget, lost":             {0, feedLost + 1, 1, apikey.Undecided},
		"budget below a lost feed":    {time.Second, feedLost, 0, apikey.Valid},
		"budget below a lost feed, +": {time.Second, feedLost + 1, 1, apikey.Undecided},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(cfg *Config) { cfg.StaleBudget = c.budget }, func(t *testing.T, w *world) {
				w.want(1, apikey.Valid, "first", 1)
				w.want(2, apikey.Valid, "first", 1)
				time.Sleep(c.silence)
				w.want(1, apikey.Valid, "first", c.lookups)
				w.want(1, apikey.Valid, "first", c.lookups) // each its own
				w.source.onLookup(away)
				if verdict, _ := w.ask(2, apikey.Cached); verdict.Code != c.away {
					t.Errorf("without the Source: got %v, want %v", verdict.Code, c.away)
				}
				w.hear()
				w.want(2, apikey.Valid, "first", 0) // the log tells what was missed
			})
		})
	}
}

// TestWithinTheBudgetAgeDoesNotMatter: while the feed is lost nothing is renewed
// for its age, and the budget counts from when the feed was heard.
func TestWithinTheBudgetAgeDoesNotMatter(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.want(1, apikey.Valid, "first", 1)
		w.live(budgetOfTests)
		time.Sleep(budgetOfTests)
		w.want(1, apikey.Valid, "first", 0)
		w.source.onLookup(away)
		time.Sleep(time.Nanosecond)
		w.want(1, apikey.Undecided, "", 1)
	})
}

func TestBeforeTheFeedIsHeardEveryRequestIsLookedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{epoch: "e"}
		source.set(print(1), record(1))
		v, err := New(Config{Source: source, Now: time.Now, CacheMB: 1, StaleBudget: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{Validator: v, t: t, source: source}
		for _, step := range []func(){func() {}, func() { w.Reset(Head{Epoch: "e"}) }} {
			step()
			w.want(1, apikey.Valid, "first", 1)
			w.want(1, apikey.Valid, "first", 1)
			w.want(2, apikey.KeyNotFound, "", 1)
			w.want(2, apikey.KeyNotFound, "", 1)
		}
		w.hear()
		w.want(1, apikey.Valid, "first", 0) // since the Reset every change was told
		w.want(2, apikey.KeyNotFound, "", 0)
	})
}

func TestARecordThatDependsOnNothingIsNotKept(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		loose := record(1)
		loose.DependsOn = apikey.Strings{}
		w.source.set(print(1), loose)
		w.want(1, apikey.Valid, "first", 1)
		w.want(1, apikey.Valid, "first", 1)
	})
}

// TestTheClockMayBeSet: the wall clock decides whether a key has expired, the
// monotonic one how old an answer is.
func TestTheClockMayBeSet(t *testing.T) {
	t.Parallel()
	now := time.Now()
	source := &fakeSource{epoch: "e"}
	r := record(1)
	r.Key.ExpiresAt = apikey.InstantOf(now.Add(time.Hour))
	source.set(print(1), r)
	v, err := New(Config{Source: source, Now: func() time.Time { return now }, CacheMB: 1, StaleBudget: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	v.Heard(Head{Epoch: "e"})
	for _, step := range []struct {
		ahead time.Duration
		want  apikey.Code
	}{{0, apikey.Valid}, {time.Hour - time.Microsecond, apikey.Valid}, {time.Hour, apikey.Expired}} {
		now = now.Add(step.ahead)
		v.Heard(Head{Epoch: "e"})
		if verdict := v.Validate(context.Background(), request(1)); verdict.Code != step.want {
			t.Errorf("%v ahead: got %v, want %v", step.ahead, verdict.Code, step.want)
		}
		now = now.Add(-step.ahead)
	}
}
