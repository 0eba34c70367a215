package identity

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var (
	home   = netip.MustParseAddr("192.0.2.1")
	office = netip.MustParseAddr("198.51.100.1")
	start  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// network returns an address of a network of its own.
func network(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}) }

func TestANetworkHasTenAttemptsAtAnAccount(t *testing.T) {
	t.Parallel()
	brake := newThrottle()
	for range pairBurst {
		if _, wait, delay := brake.admit(start, "ada", home); wait > 0 || delay > 0 {
			t.Fatalf("refused for %v, delayed by %v", wait, delay)
		}
	}
	if _, wait, _ := brake.admit(start, "ada", home); wait != pairInterval {
		t.Errorf("the eleventh is refused for %v", wait)
	}
	if _, wait, _ := brake.admit(start.Add(pairInterval-1), "ada", home); wait != 1 {
		t.Errorf("a moment early it is refused for %v", wait)
	}
	if _, wait, _ := brake.admit(start, "ada", office); wait > 0 {
		t.Errorf("another network is refused for %v", wait)
	}
	if _, wait, _ := brake.admit(start, "bob", home); wait > 0 {
		t.Errorf("another account is refused for %v", wait)
	}
	a, wait, _ := brake.admit(start.Add(pairInterval), "ada", home)
	if wait > 0 {
		t.Fatalf("after its time it is refused for %v", wait)
	}
	a.succeeded()
	for range pairBurst {
		if _, wait, _ := brake.admit(start.Add(pairInterval), "ada", home); wait > 0 {
			t.Fatalf("after a success it is refused for %v", wait)
		}
	}
}

func TestANetworkHasAHundredAttemptsInAll(t *testing.T) {
	t.Parallel()
	brake := newThrottle()
	for i := range networkBurst {
		if _, wait, _ := brake.admit(start, fmt.Sprint("user", i), home); wait > 0 {
			t.Fatalf("attempt %d is refused for %v", i, wait)
		}
	}
	if _, wait, _ := brake.admit(start, "ada", home); wait != networkInterval {
		t.Errorf("one more is refused for %v", wait)
	}
	if _, wait, _ := brake.admit(start, "ada", office); wait > 0 {
		t.Errorf("another network is refused for %v", wait)
	}
}

// Who guesses at one account from ever new networks is slowed down, and so is
// its owner, who is never refused.
func TestAnAccountOnlyWaits(t *testing.T) {
	t.Parallel()
	brake := newThrottle()
	var last time.Duration
	for i := range 200 {
		_, wait, delay := brake.admit(start, "ada", network(i))
		if wait > 0 || delay < last || delay > longestDelay || i < accountFree && delay > 0 {
			t.Fatalf("attempt %d: refused for %v, delayed by %v after %v", i, wait, delay, last)
		}
		last = delay
	}
	if last != longestDelay {
		t.Errorf("the longest delay is %v", last)
	}
	if _, _, delay := brake.admit(start, "bob", home); delay > 0 {
		t.Errorf("another account waits %v", delay)
	}
	if _, _, delay := brake.admit(start.Add(accountMost*accountInterval), "ada", home); delay > 0 {
		t.Errorf("half an hour later it still waits %v", delay)
	}
}

func TestOneWhoKnowsThePasswordIsNeverSlowedDown(t *testing.T) {
	t.Parallel()
	brake := newThrottle()
	for i := range 1000 {
		a, wait, delay := brake.admit(start, "ada", home)
		if wait > 0 || delay > 0 {
			t.Fatalf("attempt %d: refused for %v, delayed by %v", i, wait, delay)
		}
		a.succeeded()
	}
}

func TestNeighboursShareANetwork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"IPv4":           {"192.0.2.1", "192.0.2.2", false},
		"IPv4 in IPv6":   {"192.0.2.1", "::ffff:192.0.2.1", true},
		"IPv6, one /56":  {"2001:db8::1", "2001:db8:0:ff::2", true},
		"IPv6, next /56": {"2001:db8::1", "2001:db8:0:100::1", false},
	} {
		if got := networkOf(netip.MustParseAddr(c.a)) == networkOf(netip.MustParseAddr(c.b)); got != c.same {
			t.Errorf("%s: one network: %v", name, got)
		}
	}
	if networkOf(netip.Addr{}) != networkOf(netip.Addr{}) {
		t.Error("clients without an address are no network")
	}
}
