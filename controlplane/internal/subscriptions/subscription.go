// Package subscriptions owns which user is on which plan, in what state, and
// what becomes of it by itself: its ends, and a change of plan at a time to come.
//
//	active, trialing ──pause──► paused ──resume──► what it was
//	       │  ▲────────resume─────┐
//	       └──cancel──► canceled ─┴─period_end─► ended      (cancel now: ended at once)
//	trialing ──trial_ends_at──► trial_ended ──renew──► active
//
// Invariants: one live subscription per user and plan, those that a live one will
// change to included; ends take effect by the clock when a key is judged, never
// by a job's timing; what has ended stays ended. A change of plan takes nothing
// back that was given away, so a job makes it, within a second of its time.
//
// Called by the admin API and by keys, which reuses or makes one at issue; the
// postgres adapter is its Store.
package subscriptions

import (
	"context"
	"slices"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Status is the state that a subscription was put into.
type Status = apikey.SubscriptionStatus

// Standing is what a subscription is at a moment: its status, or what the clock
// has made of it. It is what everybody is shown as the status.
type Standing string

// The standings.
const (
	StandingTrialing   Standing = "trialing"
	StandingActive     Standing = "active"
	StandingTrialEnded Standing = "trial_ended"
	StandingPaused     Standing = "paused"
	StandingCanceled   Standing = "canceled" // good until its period ends
	StandingEnded      Standing = "ended"
)

// Standings are all of them.
var Standings = []Standing{
	StandingTrialing, StandingActive, StandingTrialEnded, StandingPaused, StandingCanceled, StandingEnded,
}

// Subscription is a user on a plan.
type Subscription struct {
	ID          id.Subscription `json:"id"`
	UserID      id.User         `json:"user_id"`
	PlanID      id.Plan         `json:"plan_id"`
	Status      Status          `json:"status"`
	TrialEndsAt *time.Time      `json:"trial_ends_at"` // needed while trialing
	PeriodStart *time.Time      `json:"period_start"`
	PeriodEnd   *time.Time      `json:"period_end"` // needed once canceled
	// NextPlanID is the plan that it changes to at NextPlanAt; both or neither.
	NextPlanID id.Plan    `json:"next_plan_id"`
	NextPlanAt *time.Time `json:"next_plan_at"`
	// ResumesTo is active or trialing: what it is, or was before it was paused or
	// canceled. A pause must not make a paid subscription of a trial.
	ResumesTo Status    `json:"-"`
	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`
	Version   int64     `json:"-"`
}

// Standing computes what the subscription is at a moment, by the rule by which
// keys under it are judged.
func (s *Subscription) Standing(now time.Time) Standing {
	judged := apikey.Subscription{Status: s.Status, TrialEndsAt: apikey.InstantOfPtr(s.TrialEndsAt), PeriodEnd: apikey.InstantOfPtr(s.PeriodEnd)}
	return Standing(judged.Standing(apikey.InstantOf(now)))
}

// StandingUntil returns the moment up to which the standing of now holds if
// nobody changes the subscription; nil: for good.
func (s *Subscription) StandingUntil(now time.Time) *time.Time {
	switch s.Standing(now) {
	case StandingTrialing:
		return s.TrialEndsAt
	case StandingCanceled:
		return s.PeriodEnd
	}
	return nil
}

// goesOn reports whether a change gives life to what had ended, or another end
// that is to come. Some have such an end from before this rule, and may keep it.
func (s *Subscription) goesOn(before *Subscription, now time.Time) bool {
	if s.Standing(now) != StandingEnded {
		return true
	}
	return !sameMoment(s.PeriodEnd, before.PeriodEnd) && (s.PeriodEnd == nil || s.PeriodEnd.After(now))
}

func sameMoment(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}

// EndsAt returns the first moment at which its keys are refused, or have been,
// if nobody changes it; nil where that is not known to come.
func (s *Subscription) EndsAt() *time.Time {
	switch s.Status {
	case apikey.Trialing:
		return s.TrialEndsAt
	case apikey.Canceled, apikey.Ended:
		return s.PeriodEnd
	}
	return nil
}

// Filter narrows a list.
type Filter struct {
	UserID   id.User
	PlanID   id.Plan
	Standing Standing // as of At
	At       time.Time
	After    id.Subscription
	Limit    int
}

// Store keeps subscriptions, under the same contract as users.Store.
type Store interface {
	// Insert answers ALREADY_EXISTS where the user has a live one on the plan, or
	// one that will change to it, and Invalid where the user is not there.
	Insert(ctx context.Context, s Subscription, e journal.Entry) error
	// Update answers ALREADY_EXISTS where the edited one is on a plan, or will
	// change to one, for which Insert would. The keys under it follow its plan:
	// in lists, where they are more than one transaction may write, by Follow.
	Update(ctx context.Context, subscription id.Subscription, change func(*Subscription) (*journal.Entry, error)) (Subscription, error)
	ByID(ctx context.Context, subscription id.Subscription) (Subscription, error)
	List(ctx context.Context, f Filter) ([]Subscription, error)
	// Due returns at most limit subscriptions whose change of plan is due.
	Due(ctx context.Context, at time.Time, limit int) ([]id.Subscription, error)
	// Follow lets at most limit keys follow the plan of their subscription in
	// lists, and reports whether there were any to follow.
	Follow(ctx context.Context, limit int) (more bool, err error)
	// Restamp makes lists quick for those whose standing the clock has changed,
	// at most limit of them, and returns how many. Lists are right without it.
	Restamp(ctx context.Context, at time.Time, limit int) (int, error)
}

// Plans finds plans.
type Plans interface {
	ByID(ctx context.Context, plan id.Plan) (plans.Plan, error)
}

// put brings the subscription into a state.
func (s *Subscription) put(to Status, now time.Time) {
	s.Status = to
	switch to {
	case apikey.Active, apikey.Trialing:
		s.ResumesTo = to
	case apikey.Ended:
		if s.PeriodEnd == nil || s.PeriodEnd.After(now) {
			s.PeriodEnd = &now // the period is cut off
		}
		if s.PeriodStart != nil && !s.PeriodStart.Before(*s.PeriodEnd) {
			s.PeriodStart = nil // it had not begun
		}
	}
	if to == apikey.Canceled || to == apikey.Ended {
		s.stay()
	}
}

// stay drops a scheduled change of plan.
func (s *Subscription) stay() { s.NextPlanID, s.NextPlanAt = id.Plan{}, nil }

func (s *Subscription) target() journal.Target {
	return journal.Target{Kind: "subscription", ID: s.ID.String()}
}

// check normalises a subscription and notes every value that breaks a rule.
func (s *Subscription) check() error {
	var f fault.Fields
	for _, moment := range []struct {
		location string
		at       **time.Time
	}{{"body.trial_ends_at", &s.TrialEndsAt}, {"body.period_start", &s.PeriodStart}, {"body.period_end", &s.PeriodEnd}} {
		field.Time(&f, moment.location, *moment.at)
		*moment.at = clock.StoredOrNil(*moment.at)
	}
	f.Check(s.Status != apikey.Trialing || s.TrialEndsAt != nil, "body.trial_ends_at", "needed while the status is trialing")
	f.Check(s.Status != apikey.Canceled || s.PeriodEnd != nil, "body.period_end", "needed when the status is canceled")
	f.Check(s.PeriodStart == nil || s.PeriodEnd == nil || s.PeriodStart.Before(*s.PeriodEnd), "body.period_start", "a time before period_end")
	return f.Err()
}

// KnownStanding reports whether s is a standing.
func KnownStanding(s Standing) bool { return slices.Contains(Standings, s) }
