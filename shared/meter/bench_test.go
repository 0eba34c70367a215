package meter

import (
	"fmt"
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// BenchmarkNote is what each admitted request pays: the same key again, and a
// thousand keys in turn.
func BenchmarkNote(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n, " keys"), func(b *testing.B) {
			m, now, req := New(time.Now), time.Now(), &apikey.Request{}
			keys := make([]string, n)
			for i := range keys {
				keys[i] = fmt.Sprintf("key_%032x", i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Note(now, keys[i%n], req)
			}
		})
	}
}

// BenchmarkNoteFirst is a key that is noted for the first time in its second.
func BenchmarkNoteFirst(b *testing.B) {
	m, now, req := New(time.Now), time.Now(), &apikey.Request{}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		m.Note(now, "key_01981f0a5e6c7b8f9a0b1c2d3e4f5a6b", req)
	}
}
