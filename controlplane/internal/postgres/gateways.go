package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// Gateways keeps the roll of gateways.
type Gateways struct{ db *DB }

// Gateways returns the store of gateways.
func (db *DB) Gateways() *Gateways { return &Gateways{db} }

// seenSQL does not wait for the disk: a crash forgets less than a second of
// heartbeats, which wire.RefusesAfter allows for.
const seenSQL = `
WITH hasty AS (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO gateways (instance, name, version, address, budget_ms, applied, epoch, registered_at, last_seen_at)
SELECT $1::uuid, $2::text, $3::text, $4::text, $5::bigint, $6::bigint, $7::text, clock_timestamp(), clock_timestamp() FROM hasty
ON CONFLICT (instance) DO UPDATE SET
    name = excluded.name, version = excluded.version, address = excluded.address, budget_ms = excluded.budget_ms,
    applied = excluded.applied, epoch = excluded.epoch, last_seen_at = excluded.last_seen_at`

// Seen implements gateways.Store.
func (s *Gateways) Seen(ctx context.Context, g gateways.Gateway) error {
	_, err := s.db.pool.Exec(ctx, seenSQL, pgx.QueryExecModeCacheStatement,
		g.Instance, g.Name, g.Version, g.Address, g.Budget.Milliseconds(), g.Applied, g.Epoch)
	return translate(err)
}

// Remove implements gateways.Store. A zero moment removes whenever it was seen.
func (s *Gateways) Remove(ctx context.Context, instance uuid.UUID, seen time.Time) error {
	_, err := s.db.pool.Exec(ctx, "DELETE FROM gateways WHERE instance = $1 AND ($2 OR last_seen_at <= $3)",
		pgx.QueryExecModeExec, instance, seen.IsZero(), seen)
	return translate(err)
}

// Strike implements gateways.Store.
func (s *Gateways) Strike(ctx context.Context, instance uuid.UUID, seen time.Time, e journal.Entry) (removed bool, err error) {
	err = s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		done, err := tx.ExecContext(ctx, "DELETE FROM gateways WHERE instance = ? AND last_seen_at <= ?", instance, seen)
		if err != nil {
			return nil, err
		}
		n, err := done.RowsAffected()
		if removed = n > 0; err != nil || !removed {
			return nil, err
		}
		return []journal.Entry{e}, nil
	})
	return removed && err == nil, err
}

// Roll implements gateways.Store: one statement, so that it is of one moment.
func (s *Gateways) Roll(ctx context.Context) (roll gateways.Roll, err error) {
	rows, err := s.db.pool.Query(ctx, `
		SELECT clock_timestamp(), h.epoch::text, g.instance, g.name, g.version, g.address, g.budget_ms, g.applied, g.epoch, g.registered_at, g.last_seen_at
		FROM journal_head h LEFT JOIN gateways g ON true ORDER BY g.name, g.registered_at`, pgx.QueryExecModeCacheStatement)
	if err != nil {
		return roll, translate(err)
	}
	defer rows.Close()
	for rows.Next() {
		var instance uuid.NullUUID
		var name, version, address, epoch *string
		var budget, applied *int64
		var registered, seen *time.Time
		err := rows.Scan(&roll.Now, &roll.Epoch, &instance, &name, &version, &address, &budget, &applied, &epoch, &registered, &seen)
		if err != nil {
			return roll, translate(err)
		}
		if instance.Valid {
			roll.Gateways = append(roll.Gateways, gateways.Gateway{
				Instance: instance.UUID, Name: *name, Version: *version, Address: *address,
				Budget: time.Duration(*budget) * time.Millisecond, Applied: *applied, Epoch: *epoch,
				RegisteredAt: *registered, LastSeenAt: *seen,
			})
		}
	}
	return roll, translate(rows.Err())
}

// LastChange implements gateways.Store. The audit chain knows changes by what
// they are about; its numbers are those of the change log.
func (s *Gateways) LastChange(ctx context.Context, target string) (number int64, err error) {
	err = s.db.pool.QueryRow(ctx, "SELECT coalesce(max(number), 0) FROM audit_events WHERE target_id = $1",
		pgx.QueryExecModeCacheStatement, target).Scan(&number)
	return number, translate(err)
}

// Prune implements gateways.Store. Only a beginning of the log is dropped,
// whatever the clocks of those who wrote it said, and its new beginning is
// noted with it.
func (s *Gateways) Prune(ctx context.Context, before time.Time, limit int) (dropped int, err error) {
	err = pgx.BeginFunc(ctx, s.db.pool, func(tx pgx.Tx) error {
		var low int64
		err := tx.QueryRow(ctx, `
			WITH oldest AS (SELECT number, at FROM changes ORDER BY number LIMIT $2),
			     kept AS (SELECT min(number) AS first FROM oldest WHERE at >= $1),
			     dropped AS (
			         DELETE FROM changes USING oldest, kept
			         WHERE changes.number = oldest.number AND (kept.first IS NULL OR oldest.number < kept.first)
			         RETURNING changes.number
			     )
			SELECT count(*), coalesce(max(number), 0) FROM dropped`,
			pgx.QueryExecModeExec, before, limit).Scan(&dropped, &low)
		if err != nil || dropped == 0 {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE journal_head SET low = greatest(low, $1)", pgx.QueryExecModeExec, low)
		return err
	})
	return dropped, translate(err)
}

// ChangesAfter reads a page of the change log, for one reader that is behind:
// what Stream.Read answers, on a connection of the pool.
func (db *DB) ChangesAfter(ctx context.Context, after int64) (journal.Page, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return journal.Page{}, translate(err)
	}
	defer conn.Release()
	return (&stream{conn: conn.Conn()}).Read(ctx, after)
}
