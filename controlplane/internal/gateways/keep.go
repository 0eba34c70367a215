package gateways

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/clock"
)

const (
	keepInterval = time.Minute
	keepTimeout  = 30 * time.Second
	// retention is how long the change log is kept at least.
	retention   = 24 * time.Hour
	pruneAtOnce = 10_000 // rows; so that no transaction is long
)

// Keep tidies by the clock until ctx ends: every replica may. failed hears of
// what could not be done; it is done the next time.
func (s *Service) Keep(ctx context.Context, failed func(error)) {
	clock.Every(ctx, keepInterval, s.Tidy, failed)
}

// Tidy forgets gateways that refuse everybody by now, and prunes the change log:
// it keeps 24 hours, and never less than the largest budget of a gateway, so
// that one that comes back within its budget finds its place.
func (s *Service) Tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	roll, err := s.store.Roll(ctx)
	if err != nil {
		return err
	}
	kept := retention
	for _, g := range roll.Gateways {
		kept = max(kept, roll.Now.Sub(g.LastSeenAt)+g.Budget)
		if g.RefusesBy().After(roll.Now) {
			continue
		}
		if err := s.store.Remove(ctx, g.Instance, g.LastSeenAt); err != nil {
			return err
		}
	}
	for {
		n, err := s.store.Prune(ctx, roll.Now.Add(-kept), pruneAtOnce)
		if err != nil || n < pruneAtOnce {
			return err
		}
	}
}
