package validator

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

func TestTheNetworkOfAClient(t *testing.T) {
	t.Parallel()
	b := newBudget(50, 200)
	for name, c := range map[string]struct {
		one, other string
		same       bool
	}{
		"one IPv4 address":           {"192.0.2.1", "192.0.2.1", true},
		"two IPv4 addresses":         {"192.0.2.1", "192.0.2.2", false},
		"IPv4 and its mapped form":   {"192.0.2.1", "::ffff:192.0.2.1", true},
		"one /56 of IPv6":            {"2001:db8:1:1::1", "2001:db8:1:ff:9::9", true},
		"two /56 of IPv6":            {"2001:db8:1:1::1", "2001:db8:1:101::1", false},
		"a zone is not another one":  {"fe80::1%eth0", "fe80::1%eth1", true},
		"no address is one network":  {"", "", true},
		"no address and an IPv4 one": {"", "0.0.0.0", false},
		"no address and an IPv6 one": {"", "::", false},
	} {
		one, _ := netip.ParseAddr(c.one)
		other, _ := netip.ParseAddr(c.other)
		if same := b.bucket(one) == b.bucket(other); same != c.same {
			t.Errorf("%s: same bucket: %v", name, same)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b := newBudget(50, 3)
	var bucket atomic.Int64
	steps := []struct {
		do   string
		at   time.Duration
		wait time.Duration
	}{
		{"take", 0, 0}, {"take", 0, 0}, {"take", 0, 0},
		{"take", 0, 20 * time.Millisecond},
		{"take", 15 * time.Millisecond, 5 * time.Millisecond},
		{"take", 20 * time.Millisecond, 0},
		{"take", 20 * time.Millisecond, 20 * time.Millisecond},
		{"give", 20 * time.Millisecond, 0},
		{"take", 20 * time.Millisecond, 0},
		{"take", time.Hour, 0}, {"take", time.Hour, 0}, {"take", time.Hour, 0}, // never more than the burst
		{"take", time.Hour, 20 * time.Millisecond},
	}
	for n, step := range steps {
		if step.do == "give" {
			b.giveBack(&bucket)
			continue
		}
		if wait := b.wait(&bucket, int64(step.at)); wait != step.wait {
			t.Errorf("step %d: would wait %v, want %v", n, wait, step.wait)
		}
		if wait := b.take(&bucket, int64(step.at)); wait != step.wait {
			t.Errorf("step %d: wait %v, want %v", n, wait, step.wait)
		}
	}
}

func TestTheMissBudget(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		for n := range 200 {
			w.want(100+n, apikey.KeyNotFound, "", 1)
		}
		verdict, asked := w.ask(300, apikey.Cached)
		if verdict.Code != apikey.Undecided || asked != 0 || verdict.RetryAfter != 20*time.Millisecond {
			t.Errorf("got %v, again after %v, %d look-ups", verdict.Code, verdict.RetryAfter, asked)
		}
		w.want(100, apikey.KeyNotFound, "", 0) // what is cached costs nothing
		other := request(300)
		other.IP = netip.MustParseAddr("192.0.2.99")
		if verdict := w.Validate(context.Background(), other); verdict.Code != apikey.KeyNotFound {
			t.Errorf("another network: got %v", verdict.Code)
		}
		time.Sleep(20 * time.Millisecond)
		w.want(301, apikey.KeyNotFound, "", 1)
		w.want(302, apikey.Undecided, "", 0)
		if n := w.metrics.undecided[byBudget].Load(); n != 2 {
			t.Errorf("counted %d", n)
		}
	})
}

// TestGoodKeysCostNothing: not on a cold start however many come at once, not
// when they are renewed, and not when a caller asks for now.
func TestGoodKeysCostNothing(t *testing.T) {
	t.Parallel()
	const keys = 1000
	tight := func(c *Config) { c.MissBurst, c.Lookups = 40, 32 }
	inWorld(t, tight, func(t *testing.T, w *world) {
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
			time.Sleep(time.Millisecond)
			return a, nil
		})
		for n := range keys {
			w.source.set(print(1000+n), record(1000+n))
		}
		var all sync.WaitGroup
		for n := range keys {
			all.Go(func() {
				if verdict := w.Validate(context.Background(), request(1000+n)); verdict.Code != apikey.Valid {
					t.Errorf("key %d: got %v", n, verdict.Code)
				}
			})
		}
		all.Wait()
		w.source.onLookup(nil)
		for range 100 {
			if verdict, asked := w.ask(1000, apikey.Now); verdict.Code != apikey.Valid || asked != 1 {
				t.Fatalf("now: got %v after %d look-ups", verdict.Code, asked)
			}
			w.Apply(Change{Number: w.rename(1000, "again"), IDs: []string{"key_1000"}})
			if verdict, asked := w.ask(1000, apikey.Cached); verdict.Code != apikey.Valid || asked != 1 {
				t.Fatalf("renewal: got %v after %d look-ups", verdict.Code, asked)
			}
		}
	})
}

// TestRecentIsCharged: a client that may ask for a fresh answer can only ask for
// so many.
func TestRecentIsCharged(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *Config) { c.MissRate, c.MissBurst = 0.1, 3 }, func(t *testing.T, w *world) {
		for range 3 {
			w.live(2 * recent)
			if verdict, asked := w.ask(1, apikey.Recent); verdict.Code != apikey.Valid || asked != 1 {
				t.Errorf("got %v after %d look-ups", verdict.Code, asked)
			}
		}
		w.live(2 * recent)
		if verdict, _ := w.ask(1, apikey.Recent); verdict.Code != apikey.Undecided {
			t.Errorf("got %v", verdict.Code)
		}
		w.want(1, apikey.Valid, "first", 0)
	})
}

// TestTheBudgetHoldsForRequestsAtTheSameTime: two hundred requests pass the
// first look at the budget together, and only as many as it holds are asked.
func TestTheBudgetHoldsForRequestsAtTheSameTime(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *Config) { c.MissBurst, c.Lookups = 10, 4 }, func(t *testing.T, w *world) {
		w.source.onLookup(func(_ context.Context, a Answer) (Answer, error) {
			time.Sleep(time.Microsecond)
			return a, nil
		})
		before := w.source.asked.Load()
		var all sync.WaitGroup
		for n := range 200 {
			all.Go(func() { w.Validate(context.Background(), request(100+n)) })
		}
		all.Wait()
		if n := w.source.asked.Load() - before; n != 10 {
			t.Errorf("%d look-ups, want 10", n)
		}
		if n := w.metrics.undecided[byBudget].Load(); n != 190 {
			t.Errorf("%d refused for the budget, want 190", n)
		}
	})
}
