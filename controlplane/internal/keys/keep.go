package keys

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// KeepRequests is how long an Idempotency-Key counts.
const KeepRequests = 24 * time.Hour

const (
	sweepInterval = time.Minute
	sweepTimeout  = 5 * time.Minute
)

// Keep sweeps until ctx ends: every replica may. failed hears of what could not
// be done; it is done the next time.
func (s *Service) Keep(ctx context.Context, failed func(error)) {
	clock.Every(ctx, sweepInterval, s.Sweep, failed)
}

// Sweep does what is due by the clock: it stamps statuses that have changed,
// removes keys that were deleted long ago, forgets old Idempotency-Keys and sums
// up counts. Nothing depends on when it runs, and several may at the same time.
func (s *Service) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	policy, err := s.policies(ctx)
	if err != nil {
		return err
	}
	now := s.now.Moment()
	steps := []func() (int, error){
		func() (int, error) { return s.store.Restamp(ctx, now, MaxBatch) },
		func() (int, error) {
			return s.store.Purge(ctx, now.Add(-time.Duration(policy.DeletedRetentionDays)*day), MaxBatch, func(k *Key) journal.Entry {
				return journal.Entry{
					Caller: access.System(), At: now, Action: "key.purge", Target: k.target(), Touches: []string{k.ID.String()},
				}
			})
		},
		func() (int, error) { return s.store.ForgetRequests(ctx, now.Add(-KeepRequests), MaxBatch) },
	}
	for _, step := range steps {
		for {
			n, err := step()
			if err != nil {
				return err
			}
			if n < MaxBatch {
				break
			}
		}
	}
	return s.store.SumUp(ctx)
}
