package validator

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// budgetBuckets is how many token buckets there are: 512 KiB.
const budgetBuckets = 1 << 16

// budget limits the look-ups of each client network (/32 of IPv4, /56 of IPv6;
// clients without an address are one network) by token buckets in memory that
// no client can grow: networks that hash to one bucket share it.
//
// A bucket is one number, the theoretical arrival time of GCRA (ITU-T I.371):
// the moment at which the bucket is full again.
type budget struct {
	seed     maphash.Seed
	interval int64 // nanoseconds that one token takes to come back
	full     int64 // nanoseconds that all tokens take
	buckets  [budgetBuckets]atomic.Int64
}

func newBudget(rate float64, burst int) *budget {
	interval := int64(float64(time.Second) / rate)
	return &budget{seed: maphash.MakeSeed(), interval: interval, full: interval * int64(burst)}
}

// bucket returns the token bucket of a client's network.
func (b *budget) bucket(client netip.Addr) *atomic.Int64 {
	client, bits := client.Unmap(), 32
	if client.Is6() {
		bits = 56
	}
	network, _ := client.Prefix(bits) // no address: the zero network
	return &b.buckets[maphash.Comparable(b.seed, network)%budgetBuckets]
}

// wait returns how long it takes until the bucket has a token; 0: it has one.
func (b *budget) wait(bucket *atomic.Int64, now int64) time.Duration {
	return time.Duration(max(0, max(bucket.Load(), now)+b.interval-b.full-now))
}

// take takes a token at the moment now, or returns how long it takes until
// there is one.
func (b *budget) take(bucket *atomic.Int64, now int64) (wait time.Duration) {
	for {
		old := bucket.Load()
		next := max(old, now) + b.interval
		if wait := next - b.full - now; wait > 0 {
			return time.Duration(wait)
		}
		if bucket.CompareAndSwap(old, next) {
			return 0
		}
	}
}

// giveBack returns a token that take took.
func (b *budget) giveBack(bucket *atomic.Int64) { bucket.Add(-b.interval) }

// spent is the error of a look-up that the budget did not allow: how long it
// takes until it does.
type spent time.Duration

func (spent) Error() string { return "validator: the network's look-ups are spent" }
