package postgres

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// Restamp implements keys.Store. Rows that somebody else has locked are left
// for the next time. The journal takes no part: nothing changes that a caller
// or a door could see.
func (s *Keys) Restamp(ctx context.Context, at time.Time, limit int) (int, error) {
	done, err := s.db.bun.NewRaw(`
		UPDATE keys k SET status = `+statusSQL+`, status_until = CASE
			WHEN k.revoked_at IS NULL AND k.deleted_at IS NULL THEN LEAST(
				CASE WHEN k.retires_at > ? THEN k.retires_at END,
				CASE WHEN `+endsSQL+` > ? THEN `+endsSQL+` END,
				CASE WHEN k.not_before > ? THEN k.not_before END) END
		WHERE k.id IN (SELECT id FROM keys WHERE status_until <= ? ORDER BY status_until LIMIT ? FOR UPDATE SKIP LOCKED)`,
		at, at, at, at, at, at, at, limit).Exec(ctx)
	if err != nil {
		return 0, translate(err)
	}
	n, err := done.RowsAffected()
	return int(n), translate(err)
}

// tallied is how many rows of tallies are summed up whenever they are asked for.
const tallied = 200

// SumUp implements keys.Store. Of two at the same time the second finds nothing.
func (s *Keys) SumUp(ctx context.Context) error {
	_, err := s.db.bun.NewRaw(`
		WITH gone AS (DELETE FROM key_tallies WHERE (SELECT count(*) FROM key_tallies) > ? RETURNING environment, status, n)
		INSERT INTO key_tallies SELECT environment, status, sum(n) FROM gone GROUP BY 1, 2 HAVING sum(n) <> 0`, tallied).Exec(ctx)
	return translate(err)
}

// Purge implements keys.Store.
func (s *Keys) Purge(ctx context.Context, before time.Time, limit int, entry func(*keys.Key) journal.Entry) (int, error) {
	var rows []*keyRow
	err := s.db.change(ctx, func(ctx context.Context, tx bun.Tx) (entries []journal.Entry, err error) {
		err = tx.NewSelect().Model(&rows).Where("k.deleted_at < ?", before).OrderExpr("k.deleted_at").Limit(int64(limit)).
			For("UPDATE SKIP LOCKED").Scan(ctx)
		if err != nil || len(rows) == 0 {
			return nil, err
		}
		for _, r := range rows {
			k := r.domain()
			entries = append(entries, entry(&k))
		}
		_, err = tx.NewDelete().Model(&rows).WherePK().Exec(ctx)
		return entries, err
	})
	return len(rows), err
}

// ForgetRequests implements keys.Store.
func (s *Keys) ForgetRequests(ctx context.Context, before time.Time, limit int) (int, error) {
	done, err := s.db.bun.NewRaw(`
		DELETE FROM idempotency WHERE (caller, key) IN (
			SELECT caller, key FROM idempotency WHERE created_at <= ? LIMIT ? FOR UPDATE SKIP LOCKED)`, before, limit).Exec(ctx)
	if err != nil {
		return 0, translate(err)
	}
	n, err := done.RowsAffected()
	return int(n), translate(err)
}
