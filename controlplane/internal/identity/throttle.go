package identity

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// What may be guessed. Each replica counts for itself, in memory: the brake must
// hold while the database is slow, and must not itself write a row per guess.
// N replicas allow N times as much, which is still too little to guess with.
const (
	// A network has ten attempts at one account, and gets one back every half
	// minute; an account that is not there counts like one that is.
	pairBurst, pairInterval = 10, 30 * time.Second
	// A network has a hundred attempts at all accounts together, one a second.
	networkBurst, networkInterval = 100, time.Second
	// Past ten failures from everywhere, of which one is forgiven each minute, an
	// account's attempts wait: a quarter of a second, doubling, four seconds at
	// most. They are never refused, or anyone could lock anyone out.
	accountFree, accountInterval = 10, time.Minute
	firstDelay, longestDelay     = 250 * time.Millisecond, 4 * time.Second
	accountMost                  = 30 // failures that are remembered
)

// slots is how many buckets each table has: 512 KiB.
const slots = 1 << 16

// bucket is one number, the theoretical arrival time of GCRA (ITU-T I.371): the
// moment at which the bucket is full again, in nanoseconds.
type bucket = atomic.Int64

// throttle counts attempts in tables that no client can grow. What hashes to one
// bucket shares it, under a seed that nobody knows: a stranger's guesses can at
// worst make somebody wait for a moment.
type throttle struct {
	seed                     maphash.Seed
	pairs, networks, account [slots]bucket
}

func newThrottle() *throttle { return &throttle{seed: maphash.MakeSeed()} }

// attempt is one attempt that was charged.
type attempt struct {
	pair, network, account *bucket
}

type pair struct {
	account string
	network netip.Prefix
}

// admit charges an attempt. wait is how long it is refused for; 0: it is not,
// but is to be delayed by delay first.
func (t *throttle) admit(now time.Time, account string, from netip.Addr) (a attempt, wait, delay time.Duration) {
	network := networkOf(from)
	a = attempt{
		pair:    &t.pairs[maphash.Comparable(t.seed, pair{account, network})%slots],
		network: &t.networks[maphash.Comparable(t.seed, network)%slots],
		account: &t.account[maphash.Comparable(t.seed, account)%slots],
	}
	at := now.UnixNano()
	if wait = take(a.network, at, networkBurst, networkInterval); wait > 0 {
		return a, wait, 0
	}
	if wait = take(a.pair, at, pairBurst, pairInterval); wait > 0 {
		return a, wait, 0
	}
	failures := note(a.account, at)
	if over := failures - accountFree; over > 0 {
		delay = min(firstDelay<<min(over-1, 10), longestDelay)
	}
	return a, 0, delay
}

// succeeded takes the charge back: who knows the password does not guess.
func (a attempt) succeeded() {
	a.pair.Store(0)
	a.network.Add(-int64(networkInterval))
	a.account.Add(-int64(accountInterval))
}

// take takes one of burst tokens, which come back one each interval, or returns
// how long it takes until there is one.
func take(b *bucket, now int64, burst int, interval time.Duration) time.Duration {
	for {
		old := b.Load()
		next := max(old, now) + int64(interval)
		if wait := next - int64(interval)*int64(burst) - now; wait > 0 {
			return time.Duration(wait)
		}
		if b.CompareAndSwap(old, next) {
			return 0
		}
	}
}

// note counts an attempt at an account, and returns how many there are.
func note(b *bucket, now int64) int {
	for {
		old := b.Load()
		next := min(max(old, now)+int64(accountInterval), now+accountMost*int64(accountInterval))
		if b.CompareAndSwap(old, next) {
			return int((next - now + int64(accountInterval) - 1) / int64(accountInterval))
		}
	}
}

// networkOf is a client's network: /32 of IPv4, /56 of IPv6. Clients without an
// address are one network.
func networkOf(client netip.Addr) netip.Prefix {
	client, bits := client.Unmap(), 32
	if client.Is6() {
		bits = 56
	}
	network, _ := client.Prefix(bits)
	return network
}
