package postgres

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/shared/apikey"
)

// subscriptionRow is a subscription. Standing and StandingUntil are its standing
// at the last write, or at the last Restamp.
type subscriptionRow struct {
	bun.BaseModel `bun:"table:subscriptions,alias:s"`

	ID            id.Subscription `bun:",pk"`
	UserID        id.User
	PlanID        id.Plan
	Status        string
	TrialEndsAt   *time.Time
	PeriodStart   *time.Time
	PeriodEnd     *time.Time
	NextPlanID    id.Plan
	NextPlanAt    *time.Time
	ResumesTo     string
	Standing      string
	StandingUntil *time.Time
	KeysMoving    bool // see moveKeys
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Version       int64
}

func rowOfSubscription(s subscriptions.Subscription) *subscriptionRow {
	return &subscriptionRow{
		ID: s.ID, UserID: s.UserID, PlanID: s.PlanID, Status: s.Status.String(), TrialEndsAt: s.TrialEndsAt, PeriodStart: s.PeriodStart,
		PeriodEnd: s.PeriodEnd, NextPlanID: s.NextPlanID, NextPlanAt: s.NextPlanAt, ResumesTo: s.ResumesTo.String(),
		Standing: string(s.Standing(s.UpdatedAt)), StandingUntil: s.StandingUntil(s.UpdatedAt),
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, Version: s.Version,
	}
}

func (r *subscriptionRow) domain() subscriptions.Subscription {
	status, ok := apikey.ParseSubscriptionStatus(r.Status)
	if !ok {
		status = apikey.Ended // a state that this version does not know lets nobody in
	}
	resumes, _ := apikey.ParseSubscriptionStatus(r.ResumesTo) // the schema knows two
	return subscriptions.Subscription{
		ID: r.ID, UserID: r.UserID, PlanID: r.PlanID, Status: status, TrialEndsAt: r.TrialEndsAt, PeriodStart: r.PeriodStart,
		PeriodEnd: r.PeriodEnd, NextPlanID: r.NextPlanID, NextPlanAt: r.NextPlanAt, ResumesTo: resumes,
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
	return s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		if err := lockUsers(ctx, tx, sub.UserID); err != nil {
			return nil, err
		}
		return []journal.Entry{e}, subscribe(ctx, tx, []subscriptions.Subscription{sub})
	})
}

// Update implements subscriptions.Store. The user is locked first, as in every
// transaction that locks both, and where the plan may change: see placeFree.
func (s *Subscriptions) Update(ctx context.Context, sub id.Subscription, change func(*subscriptions.Subscription) (*journal.Entry, error)) (edited subscriptions.Subscription, err error) {
	err = s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		row := &subscriptionRow{ID: sub}
		if err := tx.NewSelect().Model(row).Column("user_id").WherePK().Scan(ctx); err != nil {
			return nil, err
		}
		if err := lockUsers(ctx, tx, row.UserID); err != nil {
			return nil, err
		}
		if err := tx.NewSelect().Model(row).WherePK().For("UPDATE").Scan(ctx); err != nil {
			return nil, err
		}
		before := row.domain()
		edited = before
		entry, err := change(&edited)
		if err != nil || entry == nil {
			return nil, err
		}
		edited.Version++
		if edited.PlanID != before.PlanID || edited.NextPlanID != before.NextPlanID {
			if err := placeFree(ctx, tx, &edited); err != nil {
				return nil, err
			}
		}
		after := rowOfSubscription(edited)
		if after.KeysMoving = row.KeysMoving; edited.PlanID != before.PlanID {
			n, err := moveKeys(ctx, tx, sub, edited.PlanID, keys.MaxBatch)
			if err != nil {
				return nil, err
			}
			after.KeysMoving = n == keys.MaxBatch
		}
		_, err = tx.NewUpdate().Model(after).WherePK().Exec(ctx)
		return []journal.Entry{*entry}, err
	})
	return edited, err
}

// ByID implements subscriptions.Store.
func (s *Subscriptions) ByID(ctx context.Context, sub id.Subscription) (subscriptions.Subscription, error) {
	return byID(ctx, s.db, &subscriptionRow{ID: sub}, (*subscriptionRow).domain)
}

// Due implements subscriptions.Store.
func (s *Subscriptions) Due(ctx context.Context, at time.Time, limit int) ([]id.Subscription, error) {
	var rows []*subscriptionRow
	err := s.db.bun.NewSelect().Model(&rows).Column("id").Where("s.next_plan_at <= ?", at).
		OrderExpr("s.next_plan_at").Limit(int64(limit)).Scan(ctx)
	due := make([]id.Subscription, len(rows))
	for i, r := range rows {
		due[i] = r.ID
	}
	return due, translate(err)
}

// standingSQL is subscriptions.Subscription.Standing at the moment that takes the
// place of its question marks.
const standingSQL = `CASE
	WHEN s.status = 'trialing' AND s.trial_ends_at <= ? THEN 'trial_ended'
	WHEN s.status = 'canceled' AND s.period_end <= ? THEN 'ended'
	ELSE s.status END`

// Restamp implements subscriptions.Store. Rows that somebody else has locked are
// left for the next time. The journal takes no part: nothing changes that a
// caller or a door could see.
func (s *Subscriptions) Restamp(ctx context.Context, at time.Time, limit int) (int, error) {
	done, err := s.db.bun.NewRaw(`
		UPDATE subscriptions s SET standing = `+standingSQL+`, standing_until = CASE
			WHEN s.status = 'trialing' AND s.trial_ends_at > ? THEN s.trial_ends_at
			WHEN s.status = 'canceled' AND s.period_end > ? THEN s.period_end END
		WHERE s.id IN (SELECT id FROM subscriptions WHERE standing_until <= ? ORDER BY standing_until LIMIT ? FOR UPDATE SKIP LOCKED)`,
		at, at, at, at, at, limit).Exec(ctx)
	if err != nil {
		return 0, translate(err)
	}
	n, err := done.RowsAffected()
	return int(n), translate(err)
}

// List implements subscriptions.Store.
func (s *Subscriptions) List(ctx context.Context, f subscriptions.Filter) ([]subscriptions.Subscription, error) {
	var rows []*subscriptionRow
	if err := subscriptionQuery(s.db.bun, &f).Model(&rows).Scan(ctx); err != nil {
		return nil, translate(err)
	}
	all := make([]subscriptions.Subscription, len(rows))
	for i, r := range rows {
		all[i] = r.domain()
	}
	return all, nil
}

// subscriptionQuery is a list. One standing is read from two places, each in the
// order of the list: what is stamped with it, and the few whose stamp is behind.
func subscriptionQuery(db *bun.DB, f *subscriptions.Filter) *bun.SelectQuery {
	part := func() *bun.SelectQuery {
		q := db.NewSelect().OrderExpr("s.id DESC").Limit(int64(min(max(f.Limit, 1), maxPage)))
		if !f.UserID.IsZero() {
			q.Where("s.user_id = ?", f.UserID)
		}
		if !f.PlanID.IsZero() {
			q.Where("s.plan_id = ?", f.PlanID)
		}
		if !f.After.IsZero() {
			q.Where("s.id < ?", f.After)
		}
		return q
	}
	if f.Standing == "" {
		return part()
	}
	stamped := part().TableExpr("subscriptions AS s").Where("s.standing = ?", string(f.Standing)).
		Where("(s.standing_until IS NULL OR s.standing_until > ?)", f.At)
	behind := part().TableExpr("subscriptions AS s").Where("s.standing_until <= ?", f.At).
		Where(standingSQL+" = ?", f.At, f.At, string(f.Standing))
	return part().ModelTableExpr("((?) UNION ALL (?)) AS s", stamped, behind)
}
