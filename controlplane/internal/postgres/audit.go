package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// Audit keeps the audit chain.
type Audit struct{ db *DB }

// Audit returns the store of the audit chain.
func (db *DB) Audit() *Audit { return &Audit{db} }

// Events implements journal.AuditStore.
func (s *Audit) Events(ctx context.Context, q journal.Query) ([]journal.Event, error) {
	statement, args := eventsSQL(q)
	// Unnamed, so that it is planned for its values: some actors did nearly
	// everything, others one thing.
	rows, err := s.db.pool.Query(ctx, statement, append([]any{pgx.QueryExecModeExec}, args...)...)
	if err != nil {
		return nil, translate(err)
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (journal.Event, error) {
		var text string
		if err := row.Scan(&text); err != nil {
			return journal.Event{}, err
		}
		return journal.ReadEvent(text)
	})
	return events, translate(err)
}

// maxEvents bounds a page whatever was asked for; an export asks for more than
// a list does.
const maxEvents = 1000

// eventsSQL writes a query. Every condition has an index that is in the order of
// the list.
func eventsSQL(q journal.Query) (statement string, args []any) {
	var where []string
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	for _, equal := range [...]struct{ column, value string }{
		{"actor_kind", q.ActorKind}, {"actor_id", q.ActorID}, {"target_kind", q.TargetKind}, {"target_id", q.TargetID},
	} {
		if equal.value != "" {
			add(equal.column+" = ?", equal.value)
		}
	}
	if area, ok := q.Action.Area(); ok {
		add("split_part(action, '.', 1) = ?", area)
	} else if q.Action != "" {
		add("action = ?", string(q.Action))
	}
	if q.RequestID != "" {
		add("request_id = ? AND request_id <> ''", q.RequestID)
	}
	if !q.Since.IsZero() {
		add("at >= ?", q.Since)
	}
	if !q.Until.IsZero() {
		add("at < ?", q.Until)
	}
	if q.After != (journal.Position{}) {
		add("(at, number) < (?, ?)", time.UnixMicro(q.After.Micro).UTC(), q.After.Number)
	}
	statement = "SELECT entry FROM audit_events"
	if len(where) > 0 {
		statement += " WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, min(max(q.Limit, 1), maxEvents))
	return statement + fmt.Sprintf(" ORDER BY at DESC, number DESC LIMIT $%d", len(args)), args
}

// AuditRows implements journal.AuditStore.
func (s *Audit) AuditRows(ctx context.Context) iter.Seq2[journal.Row, error] {
	return s.db.AuditRows(ctx)
}

// Tail implements journal.AuditStore.
func (s *Audit) Tail(ctx context.Context) (t journal.Tail, err error) {
	err = s.db.pool.QueryRow(ctx, `
		SELECT h.number, h.mac, h.epoch::text, coalesce((SELECT max(number) FROM audit_events), 0), coalesce(c.text, ''), coalesce(c.seal, '')
		FROM journal_head h LEFT JOIN audit_checkpoint c ON true`).
		Scan(&t.Head.Number, &t.Head.MAC, &t.Head.Epoch, &t.Last, &t.Checkpoint.Text, &t.Checkpoint.Seal)
	return t, translate(err)
}

// pruneTimeout bounds the removal: no lock that writers wait for is held until
// its very end.
const pruneTimeout = 15 * time.Minute

// Prune implements journal.AuditStore. A second prune waits for the first.
func (s *Audit) Prune(ctx context.Context, before time.Time, sign func(journal.Head, int64) (journal.SealedCheckpoint, journal.Entry, error)) (removed int64, err error) {
	err = s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		_, err := tx.ExecContext(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d; LOCK TABLE audit_checkpoint IN SHARE ROW EXCLUSIVE MODE", pruneTimeout.Milliseconds()))
		if err != nil {
			return nil, err
		}
		last, err := lastBefore(ctx, tx, before)
		if err != nil || last.Number == 0 {
			return nil, err
		}
		result, err := tx.NewRaw("DELETE FROM audit_events WHERE number <= ?", last.Number).Exec(ctx)
		if err != nil {
			return nil, err
		}
		if removed, err = result.RowsAffected(); err != nil {
			return nil, err
		}
		checkpoint, entry, err := sign(last, removed)
		if err != nil {
			return nil, err
		}
		_, err = tx.NewRaw(`
			INSERT INTO audit_checkpoint (text, seal) VALUES (?, ?)
			ON CONFLICT ON CONSTRAINT audit_checkpoint_pkey DO UPDATE SET text = excluded.text, seal = excluded.seal`,
			checkpoint.Text, checkpoint.Seal).Exec(ctx)
		return []journal.Entry{entry}, err
	})
	return removed, err
}

// lastBefore finds the last of the oldest rows that are all older than a moment;
// number 0 where there is none. It reads what is to be removed and one row more.
func lastBefore(ctx context.Context, tx bun.Tx, before time.Time) (last journal.Head, err error) {
	err = tx.NewRaw(`
		SELECT number, mac FROM audit_events
		WHERE number < coalesce((SELECT number FROM audit_events WHERE at >= ? ORDER BY number LIMIT 1), 9223372036854775807)
		ORDER BY number DESC LIMIT 1`, before).Scan(ctx, &last.Number, &last.MAC)
	if errors.Is(err, sql.ErrNoRows) {
		return journal.Head{}, nil
	}
	return last, err
}
