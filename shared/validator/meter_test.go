package validator

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/meter"
)

// uses ends a meter and returns when each key was last used, by seconds since a
// moment.
func uses(m *meter.Meter, since time.Time) map[string]int {
	ended, end := context.WithCancel(context.Background())
	end()
	last := map[string]int{}
	m.Run(ended, func(_ context.Context, uses []meter.Use) ([]meter.Use, error) {
		for _, u := range uses {
			last[u.KeyID] = int(u.At.Sub(since).Seconds())
		}
		return nil, nil
	}, nil)
	return last
}

// What is admitted is noted, from the cache or not, and nothing else is.
func TestOnlyWhatIsAdmittedIsNoted(t *testing.T) {
	t.Parallel()
	var m *meter.Meter
	inWorld(t, func(c *Config) { m = meter.New(time.Now); c.Meter = m }, func(t *testing.T, w *world) {
		start := time.Now()
		revoked, garbage := record(5), record(6)
		revoked.Key.RevokedAt = 1
		garbage.Needs = apikey.NewStrings("moon")
		w.source.set(print(5), revoked)
		w.source.set(print(6), garbage)
		aside, fresh, scoped := request(2), request(3), request(4)
		aside.Unmetered, fresh.Freshness, scoped.Scopes = true, apikey.Now, []string{"admin"}
		for range 3 {
			for _, req := range []*apikey.Request{request(1), aside, fresh, scoped, request(5), request(6), request(77)} {
				w.Validate(context.Background(), req)
			}
			w.live(time.Second)
		}
		if diff := cmp.Diff(map[string]int{"key_1": 2, "key_3": 2}, uses(m, start)); diff != "" {
			t.Error(diff)
		}
	})
}

// A door to which the client's address costs something is asked for it once per
// key and minute, by the first request that is admitted in it.
func TestTheAddressIsAskedForOnceAMinute(t *testing.T) {
	t.Parallel()
	inWorld(t, func(c *Config) { c.Meter = meter.New(time.Now) }, func(t *testing.T, w *world) {
		ruled := record(1)
		ruled.Key.AllowCIDRs = apikey.NewCIDRs(netip.MustParsePrefix("192.0.2.0/24"))
		w.source.set(print(1), ruled)
		asks := func(key int, scopes ...string) int {
			asked := &askedClient{}
			w.Validate(context.Background(), &apikey.Request{Fingerprint: print(key), Client: asked, Scopes: scopes})
			return asked.ip
		}
		var plain, bound []int
		for second := range 150 {
			if asks(2) > 0 {
				plain = append(plain, second)
			}
			if n := asks(1); n != 1 {
				bound = append(bound, second) // its rule asks each time, and that will do
			}
			asks(3, "admin")
			w.live(time.Second)
		}
		if diff := cmp.Diff([]int{0, 60, 120}, plain); diff != "" {
			t.Errorf("a key without rules: %s", diff)
		}
		if diff := cmp.Diff([]int{0}, bound); diff != "" { // the look-up, and the rule
			t.Errorf("a key that is bound to addresses: %s", diff)
		}
		if n := asks(3); n != 1 {
			t.Errorf("the first request that is admitted asks %d times", n)
		}
		if n := asks(3); n != 0 {
			t.Errorf("the second asks %d times", n)
		}
	})
}
