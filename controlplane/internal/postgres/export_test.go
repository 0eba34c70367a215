package postgres

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// ExplainKeys runs a list and returns the server's account of each query that
// it takes, as JSON.
func (db *DB) ExplainKeys(ctx context.Context, f keys.Filter) (plans [][]byte, err error) {
	var rows []*keyRow
	explain := func(q *bun.SelectQuery) {
		var plan []byte
		if err == nil {
			err = db.bun.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
				if scattered(&f) {
					_, _ = tx.ExecContext(ctx, "SET LOCAL enable_seqscan = off")
				}
				return tx.NewRaw("EXPLAIN (ANALYZE, FORMAT JSON) ?", q.Model(&rows)).Scan(ctx, &plan)
			})
		}
		plans = append(plans, plan)
	}
	if !scattered(&f) {
		explain(listQuery(db.bun, &f))
		return plans, err
	}
	budget, err := db.Keys().walkable(ctx, &f)
	if budget > 0 && err == nil {
		q := walk(db.bun, &f, budget)
		explain(q)
		if err == nil {
			err = q.Scan(ctx)
		}
		if len(rows) == f.Limit {
			return plans, err
		}
		rows = nil
	}
	explain(gather(db.bun.NewSelect(), db.bun, &f))
	return plans, err
}

// ExplainSubscriptions is ExplainKeys of subscriptions.
func (db *DB) ExplainSubscriptions(ctx context.Context, f subscriptions.Filter) (plan []byte, err error) {
	var rows []*subscriptionRow
	err = db.pool.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+subscriptionQuery(db.bun, &f).Model(&rows).String()).Scan(&plan)
	return plan, err
}

// ExplainUsers is ExplainKeys of users.
func (db *DB) ExplainUsers(ctx context.Context, f users.Filter) (plan []byte, err error) {
	var rows []*userRow
	err = db.pool.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+userQuery(db.bun, &f).Model(&rows).String()).Scan(&plan)
	return plan, err
}
