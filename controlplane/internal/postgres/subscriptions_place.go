package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
)

// lockUsers makes others that decide by what the same users have wait until this
// transaction is over. All take the locks in the same order.
func lockUsers(ctx context.Context, tx bun.Tx, users ...id.User) error {
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = u.UUID().String()
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT id FROM users WHERE id = ANY (?::uuid[]) ORDER BY id FOR NO KEY UPDATE", pgdialect.Array(ids))
	return err
}

// subscribe writes new subscriptions of users that are locked.
func subscribe(ctx context.Context, tx bun.Tx, made []subscriptions.Subscription) error {
	if len(made) == 0 {
		return nil
	}
	rows := make([]*subscriptionRow, len(made))
	for i := range made {
		if err := placeFree(ctx, tx, &made[i]); err != nil {
			return err
		}
		rows[i] = rowOfSubscription(made[i])
	}
	_, err := tx.NewInsert().Model(&rows).Exec(ctx)
	return err
}

// vacateSQL makes what has ended by the clock leave its place in
// subscriptions_live_key, as Restamp would.
const vacateSQL = `
UPDATE subscriptions SET standing = 'ended', standing_until = NULL
WHERE user_id = ? AND standing = 'canceled' AND status = 'canceled' AND period_end <= ?`

// placeFree refuses a subscription to a plan that another live one of the user is
// on or will change to, or that will change to such a plan. No index reaches
// across both columns: what holds is the lock on the user.
func placeFree(ctx context.Context, tx bun.Tx, sub *subscriptions.Subscription) error {
	if sub.Standing(sub.UpdatedAt) == subscriptions.StandingEnded {
		return nil
	}
	if _, err := tx.ExecContext(ctx, vacateSQL, sub.UserID, sub.UpdatedAt); err != nil {
		return err
	}
	taken, err := tx.NewSelect().Model((*subscriptionRow)(nil)).Where("s.user_id = ?", sub.UserID).Where("s.id <> ?", sub.ID).Where("s.standing <> 'ended'").
		Where("(s.plan_id IN (?, ?) OR s.next_plan_id IN (?, ?))", sub.PlanID, sub.NextPlanID, sub.PlanID, sub.NextPlanID).Exists(ctx)
	if err != nil || !taken {
		return err
	}
	const message = "this user already has a live subscription to this plan, or one that will change to it"
	refused := fault.New(fault.Conflict, message).WithCode(fault.CodeTaken)
	refused.Fields = []fault.Field{{Location: "body.plan_id", Message: message}}
	return refused
}

// Place implements keys.Subscriptions. Stamps are asked first, for the index; one
// that ended since its stamp holds no place.
func (s *Subscriptions) Place(ctx context.Context, user id.User, plan id.Plan, at time.Time) (subscriptions.Subscription, error) {
	row := new(subscriptionRow)
	err := s.db.bun.NewSelect().Model(row).Where("s.user_id = ?", user).Where("s.standing <> 'ended'").
		Where("(s.plan_id = ? OR s.next_plan_id = ?)", plan, plan).Where(standingSQL+" <> 'ended'", at, at).Limit(1).Scan(ctx)
	if err != nil {
		return subscriptions.Subscription{}, translate(err)
	}
	return row.domain(), nil
}
