package postgres

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// ExplainKeys runs a list and returns the server's account of it as JSON.
func (db *DB) ExplainKeys(ctx context.Context, f keys.Filter) (plan []byte, err error) {
	var rows []*keyRow
	query := listQuery(db.bun, &f).Model(&rows).String()
	err = db.pool.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+query).Scan(&plan)
	return plan, err
}
