// Package subscriptions owns which user is on which plan, and in what state.
//
// Invariants: one live subscription per user and plan; ends take effect by the
// clock when a key is judged, never by a job's timing. Called by the admin API
// and by keys, which reuses or makes one at issue; the postgres adapter is its
// Store.
package subscriptions

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Status is the state that a subscription was put into.
type Status = apikey.SubscriptionStatus

// Subscription is a user on a plan.
type Subscription struct {
	ID          id.Subscription `json:"id"`
	UserID      id.User         `json:"user_id"`
	PlanID      id.Plan         `json:"plan_id"`
	Status      Status          `json:"status"`
	TrialEndsAt *time.Time      `json:"trial_ends_at"` // needed while trialing
	PeriodEnd   *time.Time      `json:"period_end"`    // needed once canceled
	CreatedAt   time.Time       `json:"-"`
	UpdatedAt   time.Time       `json:"-"`
	Version     int64           `json:"-"`
}

// Filter narrows a list.
type Filter struct {
	UserID id.User
	PlanID id.Plan
	After  id.Subscription
	Limit  int
}

// Store keeps subscriptions, under the same contract as users.Store. Insert
// answers ALREADY_EXISTS where the user has a live one on the plan, and
// NotFound where the user or the plan is not there.
type Store interface {
	Insert(ctx context.Context, s Subscription, e journal.Entry) error
	Update(ctx context.Context, subscription id.Subscription, change func(*Subscription) (*journal.Entry, error)) (Subscription, error)
	ByID(ctx context.Context, subscription id.Subscription) (Subscription, error)
	List(ctx context.Context, f Filter) ([]Subscription, error)
}

// Service is what may be done with subscriptions. Safe for concurrent use.
type Service struct {
	store Store
	now   func() time.Time
}

// New returns the service over a store.
func New(store Store, now func() time.Time) *Service { return &Service{store: store, now: now} }

// NewSubscription is a subscription to be made.
type NewSubscription struct {
	UserID      id.User
	PlanID      id.Plan
	Status      Status
	TrialEndsAt *time.Time
	PeriodEnd   *time.Time
}

// Create puts a user on a plan. It needs subscriptions:write.
func (s *Service) Create(ctx context.Context, caller access.Caller, in NewSubscription) (Subscription, error) {
	if err := caller.Require(access.SubscriptionsWrite); err != nil {
		return Subscription{}, err
	}
	sub, entry := Make(caller, in, s.now())
	if err := sub.check(); err != nil {
		return Subscription{}, err
	}
	return sub, s.store.Insert(ctx, sub, entry)
}

// Make returns a subscription with the entry that tells of it, for a store to
// write together.
func Make(caller access.Caller, in NewSubscription, now time.Time) (Subscription, journal.Entry) {
	now = now.UTC()
	sub := Subscription{
		ID: id.New[id.SubscriptionKind](), UserID: in.UserID, PlanID: in.PlanID, Status: in.Status,
		TrialEndsAt: in.TrialEndsAt, PeriodEnd: in.PeriodEnd, CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	_, after := journal.Diff(struct{}{}, sub)
	return sub, journal.Entry{Caller: caller, At: now, Action: "subscription.create", Target: sub.target(), After: after}
}

// Patch is a change of some of a subscription's settings.
type Patch struct {
	Status                 field.Change[Status]
	TrialEndsAt, PeriodEnd field.Change[*time.Time]
	Version                int64
}

// Update changes a subscription and with it every key under it. It needs
// subscriptions:write. What has ended stays ended: a new one is made instead.
func (s *Service) Update(ctx context.Context, caller access.Caller, sub id.Subscription, p Patch) (Subscription, error) {
	if err := caller.Require(access.SubscriptionsWrite); err != nil {
		return Subscription{}, err
	}
	return s.store.Update(ctx, sub, func(sub *Subscription) (*journal.Entry, error) {
		before := *sub
		if err := fault.CheckVersion(p.Version, sub.Version); err != nil {
			return nil, err
		}
		p.Status.Apply(&sub.Status)
		p.TrialEndsAt.Apply(&sub.TrialEndsAt)
		p.PeriodEnd.Apply(&sub.PeriodEnd)
		if before.Status == apikey.Ended && sub.Status != apikey.Ended {
			return nil, fault.New(fault.Conflict, "this subscription has ended").WithFix("make a new subscription")
		}
		if err := sub.check(); err != nil {
			return nil, err
		}
		was, is := journal.Diff(before, sub)
		if len(is) == 0 {
			return nil, nil
		}
		sub.UpdatedAt = s.now().UTC()
		return &journal.Entry{
			Caller: caller, At: sub.UpdatedAt, Action: "subscription.update", Target: sub.target(), Before: was, After: is,
			Touches: []string{sub.ID.String()},
			Refresh: sub.Status == apikey.Active,
		}, nil
	})
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
	return s.store.List(ctx, f)
}

func (s *Subscription) target() journal.Target {
	return journal.Target{Kind: "subscription", ID: s.ID.String()}
}

func (s *Subscription) check() error {
	var f fault.Fields
	field.Time(&f, "body.trial_ends_at", s.TrialEndsAt)
	field.Time(&f, "body.period_end", s.PeriodEnd)
	f.Check(s.Status != apikey.Trialing || s.TrialEndsAt != nil, "body.trial_ends_at", "needed while the status is trialing")
	f.Check(s.Status != apikey.Canceled || s.PeriodEnd != nil, "body.period_end", "needed when the status is canceled")
	return f.Err()
}
