package postgres

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun"
)

// asker runs a query.
type asker func(ctx context.Context, q *bun.SelectQuery, way avoid) error

// avoid is a way to answer that the server goes only where there is no other.
type avoid string

const (
	nothing       avoid = ""
	sorting       avoid = "enable_sort"
	readingTables avoid = "enable_seqscan"
)

// ask is the asker of lists.
func (s *Keys) ask(ctx context.Context, q *bun.SelectQuery, way avoid) error {
	if way == nothing {
		return q.Scan(ctx)
	}
	return s.db.bun.RunInTx(ctx, &sql.TxOptions{ReadOnly: true}, func(ctx context.Context, tx bun.Tx) error {
		if err := way.take(ctx, tx); err != nil {
			return err
		}
		return q.Conn(tx).Scan(ctx)
	})
}

// take holds to the end of a transaction. The server makes what it avoids look
// so dear that it would compile a query where there is no other way.
func (a avoid) take(ctx context.Context, tx bun.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT set_config(?, 'off', true), set_config('jit', 'off', true)", string(a))
	return err
}
