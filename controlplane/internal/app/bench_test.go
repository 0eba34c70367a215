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

// BenchmarkColdMiss asks a whole replica, over loopback, about keys that it has
// never seen, among 1,000,000 of 100,000 users: each question is one look-up in
// PostgreSQL. The median and the 99th percentile are what one client sees.
func BenchmarkColdMiss(b *testing.B) {
	r := start(b, pgtest.DSN(b), "AUTH_CACHE_MB=64")
	crowd := seed.Population{Users: 100_000, Keys: 1_000_000}
	_, err := seed.Run(b.Context(), seed.Options{
		DSN: r.app.DSN, Population: crowd, Digester: r.app.Peppers, Chain: r.app.Chain,
		Caller: access.CLI("bench"), Now: time.Now(),
	})
	if err != nil {
		b.Fatal(err)
	}
	took := make([]time.Duration, 0, b.N)
	n, before := 0, lookups(b, r)
	b.ResetTimer()
	for i := range b.N {
		n = (n + 7919) % crowd.Keys // a prime: no key twice within a million
		began := time.Now()
		a := r.auth(seed.Secret(n))
		took = append(took, time.Since(began))
		if good := crowd.Good(n); good && a.code() != "VALID" || a.status == 503 {
			b.Fatalf("key %d (%d): %d %s", n, i, a.status, a.raw)
		}
	}
	b.StopTimer()
	if after := lookups(b, r); after-before < float64(b.N) {
		b.Fatalf("%v look-ups for %d keys: they were not cold", after-before, b.N)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
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
