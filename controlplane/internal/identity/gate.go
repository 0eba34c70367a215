package identity

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// hashPatience is how long a password waits for its turn to be hashed.
const hashPatience = 3 * time.Second

// gate bounds how many passwords are hashed at once, so that signing in cannot
// take the machine away from the doors.
type gate struct {
	turns  chan struct{}
	hashes atomic.Uint64
}

func newGate(n int) *gate { return &gate{turns: make(chan struct{}, max(1, n))} }

// through runs work, which hashes, when it is its turn. It fails as Unavailable
// where that takes longer than hashPatience, or ctx ends before.
func (g *gate) through(ctx context.Context, work func()) error {
	patience, cancel := context.WithTimeout(ctx, hashPatience)
	defer cancel()
	select {
	case g.turns <- struct{}{}:
	case <-patience.Done():
		return fault.Wrap(patience.Err(), fault.Unavailable, "too many people sign in at this moment").WithRetryAfter(hashPatience)
	}
	defer func() { <-g.turns }()
	work()
	return nil
}

// count counts a hash that is about to be computed.
func (g *gate) count() { g.hashes.Add(1) }
