package postgres

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// ExplainKeys runs a list and returns the server's account of each query that
// it takes, as JSON.
func (db *DB) ExplainKeys(ctx context.Context, f keys.Filter) (plans [][]byte, err error) {
	var rows []*keyRow
	explain := func(q *bun.SelectQuery) {
		var plan []byte
		if err == nil {
			err = db.bun.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
				if contains(&f) {
					_, _ = tx.ExecContext(ctx, "SET LOCAL enable_seqscan = off")
				}
				return tx.NewRaw("EXPLAIN (ANALYZE, FORMAT JSON) ?", q.Model(&rows)).Scan(ctx, &plan)
			})
		}
		plans = append(plans, plan)
	}
	if !contains(&f) {
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
