package seed

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// piece is an index or a constraint of a table: how it is dropped, and made.
type piece struct{ drop, create string }

// piecesSQL lists what a table can do without while it is filled: its foreign
// keys, unique constraints and indexes, but not its primary key and checks.
// Those that others are built on come first in making and last in dropping.
const piecesSQL = `
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)),
       CASE contype WHEN 'u' THEN 1 ELSE 3 END AS turn, conname AS name
FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('u', 'f')
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid), 2, indexrelid::regclass::text
FROM pg_index WHERE indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY turn, name`

// bare runs fill while the table has neither indexes nor foreign keys, and makes
// them again: sorting a million rows once is several times faster than a million
// insertions into each index. Nobody else sees the table without them, for all
// of it is one transaction; whoever uses the table waits for its end.
func (w *writer) bare(ctx context.Context, name string, fill func() error) error {
	rows, err := w.tx.Query(ctx, piecesSQL, name)
	if err != nil {
		return err
	}
	pieces, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p piece, err error) {
		return p, row.Scan(&p.drop, &p.create, nil, nil)
	})
	if err != nil {
		return err
	}
	for i := len(pieces) - 1; i >= 0; i-- {
		if _, err := w.tx.Exec(ctx, pieces[i].drop); err != nil {
			return err
		}
	}
	if err := fill(); err != nil {
		return err
	}
	// As much as a sort of a million rows takes; a laptop has it.
	if _, err := w.tx.Exec(ctx, "SET LOCAL maintenance_work_mem = '256MB'"); err != nil {
		return err
	}
	for i, p := range pieces {
		if _, err := w.tx.Exec(ctx, p.create); err != nil {
			return fmt.Errorf("%s: %w", p.create, err)
		}
		w.progress("indexes", i+1, len(pieces))
	}
	return nil
}

func (w *writer) progress(table string, done, of int) {
	if w.Progress != nil {
		w.Progress(table, done, of)
	}
}
