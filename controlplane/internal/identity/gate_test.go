package identity

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// No more passwords are hashed at once than there are turns. Who waits too long
// for one, or gives up, is told so and has taken none.
func TestHashingWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, hashing, done := newGate(2), atomic.Int32{}, make(chan struct{})
		work := func() { hashing.Add(1); <-done }
		ctx, giveUp := context.WithCancel(t.Context())
		begun, givenUp := make(chan error, 5), make(chan error, 1)
		for range 5 {
			go func() { begun <- g.through(t.Context(), work) }()
		}
		synctest.Wait()
		if n := hashing.Load(); n != 2 {
			t.Errorf("%d are hashed at once", n)
		}
		go func() { givenUp <- g.through(ctx, work) }()
		giveUp()
		if err := <-givenUp; !fault.Is(err, fault.Unavailable) {
			t.Errorf("given up: %v", err)
		}
		start := time.Now()
		for range 3 {
			err := <-begun
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Unavailable || f.RetryAfter <= 0 || time.Since(start) != hashPatience {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
		}
		close(done)
		for range 2 {
			if err := <-begun; err != nil {
				t.Error(err)
			}
		}
		if err := g.through(t.Context(), work); err != nil || hashing.Load() != 3 {
			t.Errorf("afterwards: %v, %d were hashed", err, hashing.Load())
		}
	})
}
