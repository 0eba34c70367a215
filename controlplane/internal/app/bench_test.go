package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/postgres/seed"
)

// BenchmarkAtAMillionKeys asks a whole replica, over loopback, with 1,000,000
// keys of 100,000 users in its database.
func BenchmarkAtAMillionKeys(b *testing.B) {
	r := start(b, pgtest.DSN(b), "AUTH_CACHE_MB=64")
	crowd := seed.Population{Users: 100_000, Keys: 1_000_000}
	_, err := seed.Run(b.Context(), seed.Options{
		DSN: r.app.DSN, Population: crowd, Digester: r.app.Peppers, Chain: r.app.Chain,
		Caller: access.CLI("bench"), Now: time.Now(),
	})
	if err != nil {
		b.Fatal(err)
	}
	admin := r.admin()
	b.Run("cold miss", func(b *testing.B) { coldMiss(b, r, crowd) })
	b.Run("lists", func(b *testing.B) { everyList(b, r, admin) })
	b.Run("issue 1,000", func(b *testing.B) { bulkIssue(b, r, admin) })
}

// coldMiss asks about keys that were never seen: each question is one look-up in
// PostgreSQL. The median and the 99th percentile are what one client sees.
func coldMiss(b *testing.B, r *replica, crowd seed.Population) {
	took := make([]time.Duration, 0, b.N)
	n, before := b.N, lookups(b, r) // with each N, keys of its own
	for i := range b.N {
		n = (n + 7919) % crowd.Keys // a prime: no key twice within a million
		began := time.Now()
		a := r.auth(seed.Secret(n))
		took = append(took, time.Since(began))
		if good := crowd.Good(n); good && a.code() != "VALID" || a.status == 503 {
			b.Fatalf("key %d (%d): %d %s", n, i, a.status, a.raw)
		}
	}
	if after := lookups(b, r); after-before < 0.99*float64(b.N) {
		b.Fatalf("%v look-ups for %d keys: they were not cold", after-before, b.N)
	}
	report(b, took)
}

// report tells the median, the 99th percentile and the worst of what was timed.
func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	for unit, at := range map[string]int{"p50-ms": len(took) / 2, "p99-ms": len(took) * 99 / 100, "max-ms": len(took) - 1} {
		b.ReportMetric(float64(took[at].Microseconds())/1000, unit)
	}
}

// lookups is how many keys the replica has looked up and found.
func lookups(b *testing.B, r *replica) (n float64) {
	b.Helper()
	for line := range strings.SplitSeq(metrics(b, r), "\n") {
		if rest, found := strings.CutPrefix(line, `latchkey_validator_lookups_total{outcome="found"} `); found {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				b.Fatal(err)
			}
		}
	}
	return n
}

// bulkIssue issues 1,000 keys in a transaction.
func bulkIssue(b *testing.B, r *replica, admin string) {
	all := make([]m, 1000)
	took := make([]time.Duration, 0, b.N)
	for n := range b.N {
		for i := range all {
			all[i] = m{"name": fmt.Sprint("bulk ", n, " ", i), "scopes": []string{"reports:read"}}
		}
		began := time.Now()
		r.call(admin, "POST", "/api/v1/keys/bulk-issue", m{"keys": all}, 201)
		took = append(took, time.Since(began))
	}
	report(b, took)
}
