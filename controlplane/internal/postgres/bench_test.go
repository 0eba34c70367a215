package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/meter"
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

// BenchmarkNoteUses writes the last uses of a batch of keys, chosen at random, of
// a million: a row in each index for each.
func BenchmarkNoteUses(b *testing.B) {
	dsn := pgtest.DSN(b)
	h := furnish(b, dsn)
	const all = 1_000_000
	populate(b, h, dsn, all/10, all)
	var ids []id.Key
	for first := (keys.Filter{SortBy: keys.ByName, Limit: keys.MaxBatch}); len(ids) < 100*keys.MaxBatch; {
		page := must[[]keys.Key](b)(h.db.Keys().List(b.Context(), first))
		for _, k := range page {
			ids = append(ids, k.ID)
		}
		first.From(&page[len(page)-1])
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	uses := make([]meter.Use, meter.MaxBatch)
	for n := 0; b.Loop(); n++ {
		for i := range uses {
			uses[i] = meter.Use{
				KeyID: ids[(n*len(uses)+i)%len(ids)].String(), At: time.Now(), IP: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}),
			}
		}
		if left, err := h.keys.NoteUses(b.Context(), uses); len(left) > 0 || err != nil {
			b.Fatalf("%d left: %v", len(left), err)
		}
	}
	b.ReportMetric(float64(b.N*len(uses))/b.Elapsed().Seconds(), "uses/s")
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
