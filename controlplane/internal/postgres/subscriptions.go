package postgres

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/shared/apikey"
)

type subscriptionRow struct {
	bun.BaseModel `bun:"table:subscriptions,alias:s"`

	ID          id.Subscription `bun:",pk"`
	UserID      id.User
	PlanID      id.Plan
	Status      string
	TrialEndsAt *time.Time
	PeriodEnd   *time.Time
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Version     int64
}

func rowOfSubscription(s subscriptions.Subscription) *subscriptionRow {
	return &subscriptionRow{
		ID: s.ID, UserID: s.UserID, PlanID: s.PlanID, Status: s.Status.String(), TrialEndsAt: s.TrialEndsAt, PeriodEnd: s.PeriodEnd,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, Version: s.Version,
	}
}

func (r *subscriptionRow) domain() subscriptions.Subscription {
	status, ok := apikey.ParseSubscriptionStatus(r.Status)
	if !ok {
		status = apikey.Ended // a state that this version does not know lets nobody in
	}
	return subscriptions.Subscription{
		ID: r.ID, UserID: r.UserID, PlanID: r.PlanID, Status: status, TrialEndsAt: r.TrialEndsAt, PeriodEnd: r.PeriodEnd,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
}

func (r *subscriptionRow) bumpVersion() { r.Version++ }

// Subscriptions keeps subscriptions.
type Subscriptions struct{ db *DB }

// Subscriptions returns the store of subscriptions.
func (db *DB) Subscriptions() *Subscriptions { return &Subscriptions{db} }

// Insert implements subscriptions.Store.
func (s *Subscriptions) Insert(ctx context.Context, sub subscriptions.Subscription, e journal.Entry) error {
	return s.db.insert(ctx, rowOfSubscription(sub), e)
}

// Update implements subscriptions.Store.
func (s *Subscriptions) Update(ctx context.Context, sub id.Subscription, change func(*subscriptions.Subscription) (*journal.Entry, error)) (subscriptions.Subscription, error) {
	return update(ctx, s.db, &subscriptionRow{ID: sub}, (*subscriptionRow).domain, rowOfSubscription, change)
}

// ByID implements subscriptions.Store.
func (s *Subscriptions) ByID(ctx context.Context, sub id.Subscription) (subscriptions.Subscription, error) {
	return byID(ctx, s.db, &subscriptionRow{ID: sub}, (*subscriptionRow).domain)
}

// List implements subscriptions.Store.
func (s *Subscriptions) List(ctx context.Context, f subscriptions.Filter) ([]subscriptions.Subscription, error) {
	return list(ctx, s.db, f.After, f.Limit, (*subscriptionRow).domain, func(q *bun.SelectQuery) {
		if !f.UserID.IsZero() {
			q.Where("s.user_id = ?", f.UserID)
		}
		if !f.PlanID.IsZero() {
			q.Where("s.plan_id = ?", f.PlanID)
		}
	})
}
