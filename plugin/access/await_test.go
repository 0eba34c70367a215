package access

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// A request waits for the control plane's first word as long as for a look-up,
// the look-up included, and no longer than it lives itself.
func TestWaitingForTheFirstWord(t *testing.T) {
	t.Parallel()
	const never = time.Hour
	for name, tc := range map[string]struct {
		heard, gone time.Duration // from the beginning; 0: before
		waiting     int64         // requests that wait already
		want        time.Duration
	}{
		"heard before":        {0, never, 0, 0},
		"heard":               {patience / 2, never, 0, patience / 2},
		"never heard":         {never, never, 0, patience},
		"the request is gone": {never, patience / 5, 0, patience / 5},
		"too many wait":       {patience / 2, never, mostWaiting, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				heard := make(chan struct{})
				g := &Gate{Heard: heard, Prefixes: func() apikey.Prefixes {
					if time.Since(began) < tc.heard {
						return nil
					}
					return apikey.Prefixes{"lk"}
				}}
				g.waiting.Store(tc.waiting)
				time.AfterFunc(tc.heard, func() { close(heard) })
				ctx, cancel := context.WithTimeout(t.Context(), tc.gone)
				defer cancel()
				bounded, done := g.await(ctx)
				if took := time.Since(began); took != tc.want || g.waiting.Load() != tc.waiting {
					t.Errorf("waited %v, want %v; %d wait", took, tc.want, g.waiting.Load())
				}
				if end, _ := bounded.Deadline(); tc.heard != 0 && end.Sub(began) != min(patience, tc.gone) {
					t.Errorf("what follows may take until %v", end.Sub(began))
				}
				done()
			})
		})
	}
}
