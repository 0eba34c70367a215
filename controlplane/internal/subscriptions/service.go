package subscriptions

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Service is what may be done with subscriptions. Safe for concurrent use.
type Service struct {
	store Store
	plans Plans
	now   clock.Clock
}

// New returns the service over a store.
func New(store Store, plans Plans, now func() time.Time) *Service {
	return &Service{store: store, plans: plans, now: now}
}

// NewSubscription is a subscription to be made.
type NewSubscription struct {
	UserID id.User
	PlanID id.Plan
	// Status, where it is nil, is trialing where there is an end of a trial or the
	// plan has one, else active.
	Status                              *Status
	TrialEndsAt, PeriodStart, PeriodEnd *time.Time
}

// Create puts a user on a plan. It needs subscriptions:write.
func (s *Service) Create(ctx context.Context, caller access.Caller, in NewSubscription) (Subscription, error) {
	if err := caller.Require(access.SubscriptionsWrite); err != nil {
		return Subscription{}, err
	}
	plan, err := s.open(ctx, in.PlanID)
	if err != nil {
		return Subscription{}, err
	}
	sub, err := in.on(plan, s.now.Moment())
	if err != nil {
		return Subscription{}, err
	}
	return sub, s.store.Insert(ctx, sub, sub.created(caller))
}

// open returns a plan that takes subscriptions.
func (s *Service) open(ctx context.Context, plan id.Plan) (plans.Plan, error) {
	p, err := s.plans.ByID(ctx, plan)
	switch {
	case fault.Is(err, fault.NotFound):
		return p, invalid("body.plan_id", "there is no such plan")
	case err == nil && p.ArchivedAt != nil:
		return p, Archived(p)
	}
	return p, err
}

// Archived is the refusal of a plan that takes no new subscriptions.
func Archived(p plans.Plan) error {
	return fault.New(fault.Conflict, "the plan %s is archived and takes no new subscriptions", p.Slug)
}

// Make returns a subscription of a user to a plan as the plan says that it
// begins, with the entry that tells of it, for a store to write together.
func Make(caller access.Caller, user id.User, plan plans.Plan, now time.Time) (Subscription, journal.Entry) {
	sub, err := NewSubscription{UserID: user, PlanID: plan.ID}.on(plan, clock.Stored(now))
	if err != nil { // nothing was asked for that could be wrong
		panic("subscriptions: " + err.Error())
	}
	return sub, sub.created(caller)
}

func (in NewSubscription) on(plan plans.Plan, now time.Time) (Subscription, error) {
	sub := Subscription{
		ID: id.New[id.SubscriptionKind](), UserID: in.UserID, PlanID: in.PlanID, ResumesTo: apikey.Active,
		TrialEndsAt: in.TrialEndsAt, PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd, CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	status := apikey.Active
	switch {
	case in.Status != nil:
		status = *in.Status
	case in.TrialEndsAt != nil:
		status = apikey.Trialing
	case plan.TrialDays != nil:
		ends := now.AddDate(0, 0, *plan.TrialDays)
		status, sub.TrialEndsAt = apikey.Trialing, &ends
	}
	sub.put(status, now)
	return sub, sub.check()
}

func (s *Subscription) created(caller access.Caller) journal.Entry {
	_, after := journal.Diff(struct{}{}, *s)
	return journal.Entry{Caller: caller, At: s.CreatedAt, Action: "subscription.create", Target: s.target(), After: after}
}

// Patch is a change of some of a subscription's settings.
type Patch struct {
	Status                              field.Change[Status]
	TrialEndsAt, PeriodStart, PeriodEnd field.Change[*time.Time]
}

// Update sets what a system that keeps subscriptions elsewhere knows of one. It
// needs subscriptions:write.
func (s *Service) Update(ctx context.Context, caller access.Caller, ref Ref, p Patch) (Subscription, error) {
	return s.edit(ctx, caller, ref, act{"subscription.update", func(sub *Subscription, now time.Time) error {
		p.TrialEndsAt.Apply(&sub.TrialEndsAt)
		p.PeriodStart.Apply(&sub.PeriodStart)
		p.PeriodEnd.Apply(&sub.PeriodEnd)
		if p.Status.Present {
			sub.put(p.Status.Value, now)
		}
		return nil
	}})
}

// Ref names a subscription; Version, where it is not 0, is the one that the
// caller has read.
type Ref struct {
	ID      id.Subscription
	Version int64
}

// act is a named change of a subscription, and with it of every key under it.
type act struct {
	action string
	change func(*Subscription, time.Time) error
}

// edit does an act. It needs subscriptions:write. What has ended stays ended: a
// new one is made instead.
func (s *Service) edit(ctx context.Context, caller access.Caller, ref Ref, a act) (Subscription, error) {
	if err := caller.Require(access.SubscriptionsWrite); err != nil {
		return Subscription{}, err
	}
	return s.store.Update(ctx, ref.ID, func(sub *Subscription) (*journal.Entry, error) {
		before, now := *sub, s.now.Moment()
		if err := fault.CheckVersion(ref.Version, sub.Version); err != nil {
			return nil, err
		}
		if err := a.change(sub, now); err != nil {
			return nil, err
		}
		if before.Standing(now) == StandingEnded && sub.goesOn(&before, now) {
			return nil, over()
		}
		if err := sub.check(); err != nil {
			return nil, err
		}
		was, is := journal.Diff(before, sub)
		if len(is) == 0 {
			return nil, nil
		}
		sub.UpdatedAt = now
		return &journal.Entry{
			Caller: caller, At: now, Action: a.action, Target: sub.target(), Before: was, After: is,
			Touches: []string{sub.ID.String()},
			// No Refresh where it lets keys in again: they would be refused once more.
			Refresh: before.Standing(now) == StandingActive && sub.Status == apikey.Active && sub.PlanID == before.PlanID,
		}, nil
	})
}

func over() error {
	return fault.New(fault.Conflict, "this subscription has ended").WithFix("make a new subscription")
}

// ByID returns a subscription. It needs subscriptions:read.
func (s *Service) ByID(ctx context.Context, caller access.Caller, sub id.Subscription) (Subscription, error) {
	if err := caller.Require(access.SubscriptionsRead); err != nil {
		return Subscription{}, err
	}
	return s.store.ByID(ctx, sub)
}

// List returns a page of subscriptions, the newest first. It needs
// subscriptions:read.
func (s *Service) List(ctx context.Context, caller access.Caller, f Filter) ([]Subscription, error) {
	if err := caller.Require(access.SubscriptionsRead); err != nil {
		return nil, err
	}
	if f.Standing != "" && !KnownStanding(f.Standing) {
		return nil, invalid("query.status", "one of %v", Standings)
	}
	f.At = s.now.Moment()
	return s.store.List(ctx, f)
}

func invalid(location, format string, args ...any) error {
	var f fault.Fields
	f.Add(location, format, args...)
	return f.Err()
}
