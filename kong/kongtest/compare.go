package kongtest

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Compare measures two ways of doing the same, in turns within one run, so that
// what else the machine does falls on both: it reports the time of each in ns
// and the candidate's as a multiple of the baseline's ("x"). Each side is called
// b.N times, from two goroutines per processor.
func Compare(b *testing.B, baseline, candidate func() error) {
	b.Helper()
	const turn = 256
	var spent [2]time.Duration
	sides := [2]func() error{baseline, candidate}
	for left, flip := b.N, 0; left > 0; left, flip = left-turn, 1-flip {
		for _, side := range [2]int{flip, 1 - flip} {
			start := time.Now()
			if err := together(sides[side], min(turn, left)); err != nil {
				b.Fatal(err)
			}
			spent[side] += time.Since(start)
		}
	}
	b.ReportMetric(float64(spent[0])/float64(b.N), "baseline-ns")
	b.ReportMetric(float64(spent[1])/float64(b.N), "candidate-ns")
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "x")
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
}

// together makes n calls and returns the last error.
func together(call func() error, n int) error {
	var left atomic.Int64
	var failed atomic.Pointer[error]
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
