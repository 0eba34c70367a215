package subscriptions

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/id"
)

const (
	// keepInterval is how late a scheduled change of plan may be.
	keepInterval = time.Second
	sweepTimeout = time.Minute
	sweepBatch   = 500
	// followBatch keys follow their subscription in a transaction, and followings
	// of them in a sweep, so that no change of plan that is due is late for them.
	followBatch = 1000
	followings  = 4
)

// Keep sweeps until ctx ends: every replica may. failed hears of what could not
// be done; it is done the next time.
func (s *Service) Keep(ctx context.Context, failed func(error)) {
	clock.Every(ctx, keepInterval, s.Sweep, failed)
}

// Sweep makes the changes of plan that are due, one transaction each, so that a
// big one holds no other up, lets keys follow, and stamps standings that the
// clock has changed. Several may run at the same time.
func (s *Service) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	due, err := s.store.Due(ctx, s.now.Moment(), sweepBatch)
	if err != nil {
		return err
	}
	var errs []error
	for _, sub := range due {
		errs = append(errs, s.changeDue(ctx, sub))
	}
	for more := true; more && len(errs) < len(due)+followings; {
		more, err = s.store.Follow(ctx, followBatch)
		errs = append(errs, err)
	}
	for {
		n, err := s.store.Restamp(ctx, s.now.Moment(), sweepBatch)
		if errs = append(errs, err); err != nil || n < sweepBatch {
			return errors.Join(errs...)
		}
	}
}

// changeDue makes a scheduled change of plan, unless somebody was faster. Nobody
// is asked anew whether the plan takes subscriptions: that was promised.
func (s *Service) changeDue(ctx context.Context, sub id.Subscription) error {
	_, err := s.edit(ctx, access.System(), Ref{ID: sub}, act{"subscription.change_plan", func(sub *Subscription, now time.Time) error {
		if sub.NextPlanAt != nil && !sub.NextPlanAt.After(now) {
			sub.PlanID = sub.NextPlanID
			sub.stay()
		}
		return nil
	}})
	return err
}
