package validator

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// saved is what Save gave, kept as a file would keep it.
type saved struct {
	heard time.Duration
	kept  []Kept
}

func (w *world) save() (s saved, ok bool) {
	heard, records, ok := w.Save()
	if !ok {
		return s, false
	}
	s.heard = heard
	for k := range records {
		k.Record = slices.Clone(k.Record)
		s.kept = append(s.kept, k)
	}
	return s, true
}

// after returns a world of another process, whose Source answers nothing, which
// took in what was saved a time ago.
func (s saved) after(t *testing.T, ago time.Duration, at int64, changes ...Change) *world {
	t.Helper()
	w := &world{t: t, source: &fakeSource{epoch: "e", head: at}}
	w.source.onLookup(func(context.Context, Answer) (Answer, error) { return Answer{}, errors.New("away") })
	var err error
	if w.Validator, err = New(Config{Source: w.source, Now: time.Now, CacheMB: 1, StaleBudget: budgetOfTests}); err != nil {
		t.Fatal(err)
	}
	l := w.Load(ago)
	for _, k := range s.kept {
		if err := l.Put(k); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range changes {
		l.Apply(c)
	}
	w.want(1, apikey.Undecided, "", 1) // nothing counts before
	l.Commit(Head{Number: at, Epoch: "e"}, s.heard+ago)
	return w
}

func TestOnlyWhatIsGoodIsSaved(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		happens func(w *world)
		want    int // of keys 1 and 2
		ok      bool
	}{
		"nothing":                      {func(*world) {}, 2, true},
		"one is forgotten":             {func(w *world) { w.Apply(Change{1, []string{"key_1"}, true}) }, 1, true},
		"one is to be looked up again": {func(w *world) { w.Apply(Change{1, []string{"key_1"}, false}) }, 1, true},
		"their user is gone":           {func(w *world) { w.Apply(Change{1, []string{"usr_1"}, true}) }, 0, true},
		"another key":                  {func(w *world) { w.Apply(Change{1, []string{"key_3"}, true}) }, 2, true},
		"everything":                   {func(w *world) { w.Reset(Head{Number: 5, Epoch: "e"}) }, 0, false},
		"all, and heard anew":          {func(w *world) { w.Reset(Head{Number: 5, Epoch: "e"}); w.hear() }, 0, true},
		"the feed is silent":           {func(*world) { time.Sleep(budgetOfTests) }, 2, true},
		"the budget is over":           {func(*world) { time.Sleep(budgetOfTests + 1) }, 0, false},
		"they are old":                 {func(w *world) { w.live(2 * budgetOfTests) }, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.ask(1, apikey.Cached)
				w.ask(2, apikey.Cached)
				w.ask(99, apikey.Cached) // no such key
				test.happens(w)
				s, ok := w.save()
				if len(s.kept) != test.want || ok != test.ok {
					t.Errorf("%d records, %v; want %d, %v", len(s.kept), ok, test.want, test.ok)
				}
			})
		})
	}
}

func TestWhatWasSavedIsUsedForTheRestOfTheBudget(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.ask(1, apikey.Cached)
		w.ask(2, apikey.Cached)
		time.Sleep(5 * time.Second) // in silence
		s, _ := w.save()
		if s.heard != 5*time.Second {
			t.Fatalf("heard %v ago", s.heard)
		}
		time.Sleep(10 * time.Second)

		next := s.after(t, 10*time.Second, 3, Change{2, []string{"key_2"}, true})
		next.want(1, apikey.Valid, "first", 0)
		next.want(2, apikey.Undecided, "", 1) // forgotten after the save
		next.want(3, apikey.Undecided, "", 1) // never known
		if verdict, asked := next.ask(1, apikey.Recent); verdict.Code != apikey.Undecided || asked != 1 {
			t.Errorf("an old answer is recent: %v", verdict.Code)
		}
		time.Sleep(budgetOfTests - 15*time.Second)
		next.want(1, apikey.Valid, "first", 0)
		time.Sleep(time.Nanosecond)
		next.want(1, apikey.Undecided, "", 1)

		// The feed goes on where it was: what it tells counts, the rest is good.
		next = s.after(t, 10*time.Second, 3)
		next.Apply(Change{4, []string{"key_2"}, true})
		next.Heard(Head{Number: 4, Epoch: "e"})
		time.Sleep(budgetOfTests)
		next.want(1, apikey.Valid, "first", 0)
		next.want(2, apikey.Undecided, "", 1)
		next.Heard(Head{Number: 4, Epoch: "f"}) // a restored backup
		next.want(1, apikey.Undecided, "", 1)
		synctest.Wait()
	})
}

func TestWhatIsNotLoaded(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		if w.Load(0) != nil {
			t.Error("a validator whose feed was heard loads")
		}
		w.ask(1, apikey.Cached)
		s, _ := w.save()
		good := s.kept[0]
		r := record(1)
		r.DependsOn = apikey.Strings{}
		unbound, err := r.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		next := s.after(t, 0, 0)
		fresh, err := New(next.config)
		if err != nil {
			t.Fatal(err)
		}
		l := fresh.Load(0)
		for name, k := range map[string]Kept{
			"torn":               {good.Fingerprint, 0, good.Record[:len(good.Record)-1]},
			"empty":              {good.Fingerprint, 0, nil},
			"of the future":      {good.Fingerprint, -1, good.Record},
			"depends on nothing": {good.Fingerprint, 0, unbound},
		} {
			if l.Put(k) == nil {
				t.Errorf("what is %s is taken", name)
			}
		}
		if err := l.Put(good); err != nil {
			t.Fatal(err)
		}
		l.Discard()
		fresh.Reset(Head{Epoch: "e"}) // whose era has the number that was loaded for
		fresh.Heard(Head{Epoch: "e"})
		if v := fresh.Validate(t.Context(), request(1)); v.Code != apikey.Undecided {
			t.Errorf("what was discarded is used: %v", v.Code)
		}
		synctest.Wait()
	})
}
