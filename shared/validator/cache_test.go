package validator

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/shared/apikey"
)

// TestAFloodOfUnknownKeysLeavesGoodOnesCached looks up a million unknown keys,
// past the budget that would stop them at the door.
func TestAFloodOfUnknownKeysLeavesGoodOnesCached(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		for n := 1; n <= 9; n++ {
			w.want(n, apikey.Valid, "first", 1)
		}
		var f apikey.Fingerprint
		for n := range uint64(1_000_000) {
			binary.LittleEndian.PutUint64(f[:], n)
			if err := w.Validator.ask(context.Background(), &flight{}, f); err != nil {
				t.Fatal(err)
			}
		}
		for n := 1; n <= 9; n++ {
			w.want(n, apikey.Valid, "first", 0)
		}
		if n := w.unknown.entries.Len(); n < 60_000 || n > 80_000 {
			t.Errorf("%d unknown keys are cached", n)
		}
		if n := w.unknown.entries.Capacity(); n > unknownMB<<20 {
			t.Errorf("they take %d bytes", n)
		}
	})
}

// TestGarbageInTheCacheIsAMiss: whatever the cache holds, it never admits.
func TestGarbageInTheCacheIsAMiss(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.want(1, apikey.Valid, "first", 1)
		f := print(1)
		whole, err := w.known.entries.Get(cacheKey(&f))
		if err != nil {
			t.Fatal(err)
		}
		try := func(b []byte) {
			t.Helper()
			if err := w.known.entries.Set(cacheKey(&f), b); err != nil {
				t.Fatal(err)
			}
			w.want(1, apikey.Valid, "first", 1) // looked up again, and cached whole
		}
		for n := range whole {
			try(whole[:n])
		}
		try(append(whole[:len(whole):len(whole)], 0))
		w.source.onLookup(away)
		random := rand.New(rand.NewPCG(1, 2))
		for range 1000 {
			b := make([]byte, random.IntN(300))
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			binary.LittleEndian.PutUint64(append(b, make([]byte, 8)...), w.era.Load().number)
			if err := w.known.entries.Set(cacheKey(&f), b); err != nil {
				t.Fatal(err)
			}
			if verdict, _ := w.ask(1, apikey.Cached); verdict.Code != apikey.Undecided {
				t.Fatalf("%x: got %v", b, verdict.Code)
			}
		}
	})
}

func TestARecordThatIsTooLargeIsLookedUpEachTime(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		for n := 2; n <= 9; n++ {
			w.want(n, apikey.Valid, "first", 1)
		}
		w.want(1, apikey.Valid, "first", 1)
		large := record(1)
		large.Key.Metadata = strings.Repeat("x", maxEntry)
		large.Change = 1
		w.source.set(print(1), large)
		w.Apply(Change{Number: 1, IDs: []string{"key_1"}, Forget: true})
		w.want(1, apikey.Valid, "first", 1)
		w.want(1, apikey.Valid, "first", 1)
		for n := 2; n <= 9; n++ {
			w.want(n, apikey.Valid, "first", 0) // nothing made room for it
		}
	})
}

func TestWhatReflectsLessDoesNotReplaceWhatReflectsMore(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.rename(1, "second")
		w.rename(1, "third")
		w.want(1, apikey.Valid, "third", 1)
		for _, found := range []bool{true, false} {
			w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
				a.Found, a.Record.Change, a.Record.Key.Name = found, 1, "second"
				return a, nil
			})
			w.ask(1, apikey.Now)
			w.want(1, apikey.Valid, "third", 0)
		}
	})
}

func TestEntryIsWhatWasWritten(t *testing.T) {
	t.Parallel()
	seed := maphash.MakeSeed()
	r := record(1)
	r.Change = 1<<40 + 7
	r.Key.AllowCIDRs = apikey.NewCIDRs(netip.MustParsePrefix("10.0.0.0/8"))
	for name, a := range map[string]Answer{
		"a record":    {Found: true, Record: r},
		"no such key": {Record: apikey.Record{Change: 9}},
	} {
		b, ok := appendEntry(nil, seed, &a)
		stamp(b, 3, -4)
		e, whole := parseEntry(b)
		if !ok || !whole || e.era != 3 || e.at != -4 || e.change != a.Record.Change || e.found != a.Found || !e.dependent() {
			t.Errorf("%s: got %+v", name, e)
		}
		var verdict apikey.Verdict
		if !e.judge(1, &apikey.Request{}, &verdict) || verdict.Record.Key.ID != a.Record.Key.ID {
			t.Errorf("%s: got %+v", name, verdict)
		}
		if a.Found && cmp.Diff(r.DependsOn.Slice(), verdict.Record.DependsOn.Slice()) != "" {
			t.Errorf("%s: got %v", name, verdict.Record.DependsOn.Slice())
		}
	}
	many := Answer{Found: true, Record: apikey.Record{DependsOn: apikey.NewStrings(make([]string, 1<<16)...)}}
	if _, ok := appendEntry(nil, seed, &many); ok {
		t.Error("65,536 dependencies fit into 16 bits")
	}
}
