package postgres

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// ExplainKeys runs a list and returns it with the server's account of each query
// that it takes, as JSON.
func (db *DB) ExplainKeys(ctx context.Context, f keys.Filter) (list []keys.Key, plans [][]byte, err error) {
	var rows []*keyRow
	s := db.Keys()
	err = s.list(ctx, &f, &rows, func(ctx context.Context, q *bun.SelectQuery, way avoid) error {
		var plan []byte
		err := db.bun.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			if way != nothing {
				if err := way.take(ctx, tx); err != nil {
					return err
				}
			}
			return tx.NewRaw("EXPLAIN (ANALYZE, FORMAT JSON) ?", q).Scan(ctx, &plan)
		})
		if err != nil {
			return err
		}
		plans = append(plans, plan)
		return s.ask(ctx, q, way)
	})
	return domainsOf(rows), plans, err
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
