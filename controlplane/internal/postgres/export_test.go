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
	explained := db.Keys().asker()
	scan := explained.scan
	explained.scan = func(ctx context.Context, db bun.IDB, q *bun.SelectQuery) error {
		var plan []byte
		if err := db.NewRaw("EXPLAIN (ANALYZE, FORMAT JSON) ?", q).Scan(ctx, &plan); err != nil {
			return err
		}
		plans = append(plans, plan)
		return scan(ctx, db, q)
	}
	err = db.Keys().list(ctx, &f, &rows, explained)
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
