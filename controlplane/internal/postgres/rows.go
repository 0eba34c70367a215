package postgres

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// maxPage bounds a page whatever was asked for.
const maxPage = 201

// versioned is a row that counts its writes.
type versioned interface{ bumpVersion() }

// byID reads one row by its primary key. row carries the id.
func byID[R, D any](ctx context.Context, db *DB, row *R, domain func(*R) D) (d D, err error) {
	if err := db.bun.NewSelect().Model(row).WherePK().Scan(ctx); err != nil {
		return d, translate(err)
	}
	return domain(row), nil
}

// update locks one row, lets change edit what it stands for, and writes it back
// with its next version and the journal entry: all, or nothing where there is
// no entry.
func update[R any, P interface {
	*R
	versioned
}, D any](ctx context.Context, db *DB, row P, domain func(P) D, rowOf func(D) P, change func(*D) (*journal.Entry, error)) (d D, err error) {
	err = db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		if err := tx.NewSelect().Model(row).WherePK().For("UPDATE").Scan(ctx); err != nil {
			return nil, err
		}
		d = domain(row)
		entry, err := change(&d)
		if err != nil || entry == nil {
			return nil, err
		}
		edited := rowOf(d)
		edited.bumpVersion()
		d = domain(edited)
		if _, err := tx.NewUpdate().Model(edited).WherePK().Exec(ctx); err != nil {
			return nil, err
		}
		return []journal.Entry{*entry}, nil
	})
	return d, err
}

// list reads a page, the newest ids first, from behind after on.
func list[R, D any, I interface{ IsZero() bool }](ctx context.Context, db *DB, after I, limit int, domain func(*R) D, narrow func(*bun.SelectQuery)) ([]D, error) {
	var rows []*R
	q := db.bun.NewSelect().Model(&rows).OrderExpr("?TableAlias.id DESC").Limit(int64(min(max(limit, 1), maxPage)))
	if !after.IsZero() {
		q.Where("?TableAlias.id < ?", after)
	}
	narrow(q)
	if err := q.Scan(ctx); err != nil {
		return nil, translate(err)
	}
	all := make([]D, len(rows))
	for i, r := range rows {
		all[i] = domain(r)
	}
	return all, nil
}
