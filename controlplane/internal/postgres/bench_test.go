package postgres_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// BenchmarkAuditedWrites patches keys over 16 connections: each write is a
// transaction of its own with its audit row and its change row, durable when it
// is answered. Every writer has a key of its own, so that only the head of the
// logs is shared.
func BenchmarkAuditedWrites(b *testing.B) {
	h := furnish(b, pgtest.DSN(b))
	const writers = 16
	work := make(chan int)
	var failed atomic.Int64
	done := make(chan struct{})
	for i := range writers {
		k := h.issue(b, fmt.Sprint("writer ", i))
		go func() {
			defer func() { done <- struct{}{} }()
			for n := range work {
				_, err := h.keys.Update(b.Context(), root(), k.Key.ID, keys.Patch{Name: field.To(fmt.Sprint("name ", n))})
				if err != nil {
					failed.Add(1)
				}
			}
		}()
	}
	b.ResetTimer()
	for n := range b.N {
		work <- n
	}
	close(work)
	for range writers {
		<-done
	}
	b.StopTimer()
	if failed.Load() > 0 {
		b.Errorf("%d writes failed", failed.Load())
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	verifyChain(b, h.db)
}

// BenchmarkLookup is a miss without HTTP: one statement, then composing.
func BenchmarkLookup(b *testing.B) {
	h := furnish(b, pgtest.DSN(b))
	k := h.issue(b, "ci")
	b.ReportAllocs()
	for b.Loop() {
		if _, found := h.lookup(b, k.Secret); !found {
			b.Fatal("not found")
		}
	}
}
