package subscriptions

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/shared/apikey"
)

// When says when a cancellation or a change of plan takes effect.
type When string

// The times.
const (
	Now         When = "now"
	AtPeriodEnd When = "period_end"
)

// Pause refuses every key under the subscription, at once, until it is resumed.
// The clock goes on: a trial ends meanwhile, and so does a period.
func (s *Service) Pause(ctx context.Context, caller access.Caller, ref Ref) (Subscription, error) {
	return s.edit(ctx, caller, ref, act{"subscription.pause", func(sub *Subscription, now time.Time) error {
		switch sub.Standing(now) {
		case StandingEnded:
			return over()
		case StandingCanceled:
			return fault.New(fault.Conflict, "this subscription is canceled and ends by itself").WithFix("cancel it now, or resume it first")
		}
		sub.put(apikey.Paused, now)
		return nil
	}})
}

// Resume undoes a pause, and a cancellation before it took effect.
func (s *Service) Resume(ctx context.Context, caller access.Caller, ref Ref) (Subscription, error) {
	return s.edit(ctx, caller, ref, act{"subscription.resume", func(sub *Subscription, now time.Time) error {
		switch sub.Standing(now) {
		case StandingEnded:
			return over()
		case StandingTrialEnded:
			return fault.New(fault.Conflict, "the trial is over").WithFix("renew the subscription, or move trial_ends_at")
		case StandingPaused, StandingCanceled:
			sub.put(sub.ResumesTo, now)
		}
		return nil
	}})
}

// Cancel ends the subscription: now, or when what it was made for is over, the
// period or the trial.
func (s *Service) Cancel(ctx context.Context, caller access.Caller, ref Ref, when When) (Subscription, error) {
	return s.edit(ctx, caller, ref, act{"subscription.cancel", func(sub *Subscription, now time.Time) error {
		standing := sub.Standing(now)
		switch {
		case standing == StandingEnded, standing == StandingCanceled && when != Now:
			return nil // as it is
		case when == Now:
			sub.put(apikey.Ended, now)
			return nil
		case standing == StandingPaused: // or its keys would be let in again until then
			return fault.New(fault.Conflict, "a paused subscription does not go on to the end of its period").
				WithFix(`send "when": "now", or resume it first`)
		case sub.Status == apikey.Trialing:
			sub.PeriodEnd = sub.TrialEndsAt
			if sub.PeriodStart != nil && !sub.PeriodStart.Before(*sub.PeriodEnd) {
				sub.PeriodStart = nil
			}
		default:
			if err := sub.periodToCome(now); err != nil {
				return err
			}
		}
		sub.put(apikey.Canceled, now)
		return nil
	}})
}

// periodToCome refuses where no end of a period is ahead.
func (s *Subscription) periodToCome(now time.Time) error {
	if s.PeriodEnd != nil && s.PeriodEnd.After(now) {
		return nil
	}
	return fault.New(fault.Conflict, "this subscription has no period that is yet to end").
		WithFix(`send "when": "now", or renew it first`)
}

// Period is the time that a subscription is renewed for. Start may be nil.
type Period struct{ Start, End *time.Time }

// Renew begins a period and makes the subscription active, a trial and a canceled
// one too. Without a start the period goes on where the last one ended, for a
// trial now.
func (s *Service) Renew(ctx context.Context, caller access.Caller, ref Ref, p Period) (Subscription, error) {
	return s.edit(ctx, caller, ref, act{"subscription.renew", func(sub *Subscription, now time.Time) error {
		switch sub.Standing(now) {
		case StandingEnded:
			return over()
		case StandingPaused:
			return fault.New(fault.Conflict, "this subscription is paused").WithFix("resume it first")
		}
		start := p.Start
		if start == nil && sub.ResumesTo == apikey.Active {
			start = sub.PeriodEnd
		}
		if start == nil {
			start = &now
		}
		if p.End == nil || !p.End.After(now) {
			return invalid("body.period_end", "a time to come")
		}
		if p.Start == nil && !start.Before(*p.End) {
			return invalid("body.period_end", "a time after the end of the last period, or give period_start, too")
		}
		sub.PeriodStart, sub.PeriodEnd = start, p.End
		sub.put(apikey.Active, now)
		return nil
	}})
}

// Move is a change of plan.
type Move struct {
	PlanID id.Plan
	When   When
}

// ChangePlan moves the subscription, and the keys under it, to another plan: now,
// or at the end of the period. A later change takes the place of one that was
// scheduled; a change to the plan that it is on drops it.
func (s *Service) ChangePlan(ctx context.Context, caller access.Caller, ref Ref, m Move) (Subscription, error) {
	if err := caller.Require(access.SubscriptionsWrite); err != nil {
		return Subscription{}, err
	}
	plan, refused := s.open(ctx, m.PlanID)
	if refused != nil && !fault.Is(refused, fault.Conflict) {
		return Subscription{}, refused
	}
	return s.edit(ctx, caller, ref, act{"subscription.change_plan", func(sub *Subscription, now time.Time) error {
		switch sub.Standing(now) {
		case StandingEnded:
			return over()
		case StandingCanceled:
			return fault.New(fault.Conflict, "this subscription is canceled").WithFix("resume it first")
		}
		sub.stay()
		switch {
		case plan.ID == sub.PlanID: // where it is, archived or not, it may stay
		case refused != nil:
			return refused
		case m.When == Now:
			sub.PlanID = plan.ID
		default:
			if err := sub.periodToCome(now); err != nil {
				return err
			}
			sub.NextPlanID, sub.NextPlanAt = plan.ID, sub.PeriodEnd
		}
		return nil
	}})
}
