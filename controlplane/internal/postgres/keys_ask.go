package postgres

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun"
)

// asker reads the queries of a list.
type asker struct {
	db   *bun.DB
	scan func(ctx context.Context, db bun.IDB, q *bun.SelectQuery) error
}

// asker is what lists are read by.
func (s *Keys) asker() asker {
	return asker{s.db.bun, func(ctx context.Context, db bun.IDB, q *bun.SelectQuery) error { return q.Conn(db).Scan(ctx) }}
}

// reader runs a query and avoids a way.
type reader func(ctx context.Context, way avoid, q *bun.SelectQuery) error

// avoid names ways to answer that the server goes only where there is no other.
type avoid string

const (
	nothing       avoid = ""
	sorting       avoid = "enable_sort"
	allButBitmaps avoid = "enable_seqscan,enable_indexscan"
	readingRows   avoid = allButBitmaps + ",rows" // where more of an index spares them
)

// take holds to the end of a transaction. The server makes what it avoids look
// so dear that it would compile a query where there is no other way, and share it
// among processes; and a bitmap of a million rows takes more room than it has for
// queries by itself. Reading a row at 5 makes it lay a stretch of the order over
// what contains a word; from 10 on it lays a plan of 600,000 keys over that, too,
// which takes longer than the rows that it spares.
func (a avoid) take(ctx context.Context, tx bun.Tx) error {
	_, err := tx.ExecContext(ctx, `
		SELECT set_config(s.name, CASE WHEN s.name = ANY (string_to_array(?, ',')) THEN 'off' ELSE 'on' END, true)
		FROM unnest('{enable_seqscan,enable_indexscan,enable_bitmapscan,enable_sort}'::text[]) AS s (name)
		UNION ALL SELECT set_config('jit', 'off', true)
		UNION ALL SELECT set_config('max_parallel_workers_per_gather', '0', true)
		UNION ALL SELECT set_config('work_mem', '32MB', true)
		UNION ALL SELECT set_config('cpu_tuple_cost', CASE WHEN 'rows' = ANY (string_to_array(?, ',')) THEN '5' ELSE '0.01' END, true)`, string(a), string(a))
	return err
}

// read runs one query.
func (a asker) read(ctx context.Context, way avoid, q *bun.SelectQuery) error {
	if way == nothing {
		return a.scan(ctx, a.db, q)
	}
	return a.snapshot(ctx, func(ctx context.Context, read reader) error { return read(ctx, way, q) })
}

// snapshot runs queries that see the same.
func (a asker) snapshot(ctx context.Context, reads func(context.Context, reader) error) error {
	return a.db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(ctx context.Context, tx bun.Tx) error {
		taken := nothing
		return reads(ctx, func(ctx context.Context, way avoid, q *bun.SelectQuery) error {
			if way != taken {
				if err := way.take(ctx, tx); err != nil {
					return err
				}
				taken = way
			}
			return a.scan(ctx, tx, q)
		})
	})
}
