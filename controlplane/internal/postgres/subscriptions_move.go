package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// A key's row repeats the plan of its subscription, for lists are in order
// within a plan by an index, and an index reaches into one table only. A change
// of plan takes along as many keys as one transaction may write; the others
// follow, a batch at a time, while keys_moving says so. Whoever adds a key under
// a subscription sees to it that its plan stays what it is until the commit.

// moveKeys lets keys under a subscription, which is locked, follow it to a plan:
// at most limit of them. It returns how many.
func moveKeys(ctx context.Context, tx bun.Tx, sub id.Subscription, plan id.Plan, limit int) (int, error) {
	done, err := tx.ExecContext(ctx, `
		UPDATE keys SET plan_id = ? WHERE id IN (
			SELECT id FROM keys WHERE subscription_id = ? AND plan_id <> ? ORDER BY id LIMIT ? FOR NO KEY UPDATE)`, plan, sub, plan, limit)
	if err != nil {
		return 0, err
	}
	n, err := done.RowsAffected()
	return int(n), err
}

// Follow implements subscriptions.Store. A subscription that somebody else has
// locked is left for the next time. The journal takes no part: what a key may do
// depends on the subscription alone.
func (s *Subscriptions) Follow(ctx context.Context, limit int) (more bool, err error) {
	err = s.db.bun.RunInTx(ctx, &sql.TxOptions{}, func(ctx context.Context, tx bun.Tx) error {
		row := new(subscriptionRow)
		err := tx.NewSelect().Model(row).Where("s.keys_moving").OrderExpr("s.id").Limit(1).For("NO KEY UPDATE SKIP LOCKED").Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		more = true
		n, err := moveKeys(ctx, tx, row.ID, row.PlanID, limit)
		if err == nil && n < limit {
			_, err = tx.ExecContext(ctx, "UPDATE subscriptions SET keys_moving = false WHERE id = ?", row.ID)
		}
		return err
	})
	return more && err == nil, translate(err)
}

// plansStay refuses keys that are made for another plan than their subscription
// is on by now, and keeps those plans until the end of the transaction.
func plansStay(ctx context.Context, tx bun.Tx, made []keys.Sealed) error {
	under := map[id.Subscription]id.Plan{}
	var ids []string
	for _, k := range made {
		if sub := k.Key.SubscriptionID; !sub.IsZero() && under[sub].IsZero() {
			under[sub] = k.Key.PlanID
			ids = append(ids, sub.UUID().String())
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var now []subscriptionRow
	err := tx.NewSelect().Model(&now).Column("id", "plan_id").Where("s.id = ANY (?::uuid[])", pgdialect.Array(ids)).OrderExpr("s.id").For("SHARE").Scan(ctx)
	if err != nil {
		return err
	}
	for _, s := range now {
		if s.PlanID != under[s.ID] {
			return fault.New(fault.Conflict, "the subscription changes its plan at this moment").WithCode(fault.CodeTaken).WithFix("try again in a moment")
		}
	}
	return nil
}
