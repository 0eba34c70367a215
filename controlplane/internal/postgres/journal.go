package postgres

import (
	"context"
	"encoding/hex"
	"iter"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// channel is what LISTEN and NOTIFY meet on. A notification only wakes readers;
// what changed they read from the log.
const channel = "latchkey_changes"

// append writes both logs in one statement. Locking the head with the read
// makes a second writer wait and then see the newest head, so numbers are in
// commit order without gaps; a transaction that dies takes its number with it.
const appendSQL = `
WITH audit AS (
    INSERT INTO audit_events (number, id, at, actor_kind, actor_id, action, target_kind, target_id, request_id, entry, mac)
    SELECT n, i, a, ak, ai, ac, tk, ti, ri, e, decode(m, 'hex')
    FROM unnest(?::bigint[], ?::uuid[], ?::timestamptz[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[])
      AS t (n, i, a, ak, ai, ac, tk, ti, ri, e, m)
), change AS (
    INSERT INTO changes (number, at, forget, ids)
    SELECT n, a, f, string_to_array(i, ',')
    FROM unnest(?::bigint[], ?::timestamptz[], ?::boolean[], ?::text[]) AS t (n, a, f, i)
    RETURNING 1
), head AS (
    UPDATE journal_head SET number = ?, mac = decode(?, 'hex')
)
SELECT pg_notify('` + channel + `', '') FROM (SELECT FROM change LIMIT 1) AS any_change`

// columns gathers rows of audit_events and changes by column.
type columns struct {
	numbers                                            []int64
	ids, actorKinds, actorIDs, actions, kinds, targets []string
	at                                                 []time.Time
	requests, entries, macs                            []string

	changed   []int64
	changedAt []time.Time
	forget    []bool
	touched   []string
	changes   []journal.Change
}

func (c *columns) add(s journal.Sealed) {
	c.numbers = append(c.numbers, s.Number)
	c.ids = append(c.ids, s.ID.UUID().String())
	c.at = append(c.at, s.Entry.At)
	c.actorKinds = append(c.actorKinds, string(s.Entry.Caller.Actor.Kind))
	c.actorIDs = append(c.actorIDs, s.Entry.Caller.Actor.ID)
	c.actions = append(c.actions, s.Entry.Action)
	c.kinds = append(c.kinds, s.Entry.Target.Kind)
	c.targets = append(c.targets, s.Entry.Target.ID)
	c.requests = append(c.requests, s.Entry.Caller.RequestID)
	c.entries = append(c.entries, s.Text)
	c.macs = append(c.macs, hex.EncodeToString(s.MAC))
	if len(s.Entry.Touches) > 0 {
		c.changed = append(c.changed, s.Number)
		c.changedAt = append(c.changedAt, s.Entry.At)
		c.forget = append(c.forget, !s.Entry.Refresh)
		c.touched = append(c.touched, strings.Join(s.Entry.Touches, ","))
		c.changes = append(c.changes, journal.Change{Number: s.Number, IDs: s.Entry.Touches, Forget: !s.Entry.Refresh})
	}
}

// appendEntries seals and writes entries, and returns what they change; nothing
// may be locked after it.
func (db *DB) appendEntries(ctx context.Context, tx bun.Tx, entries []journal.Entry) ([]journal.Change, error) {
	var head journal.Head
	err := tx.QueryRowContext(ctx, "SELECT number, mac FROM journal_head FOR UPDATE").Scan(&head.Number, &head.MAC)
	if err != nil {
		return nil, err
	}
	sealed, head, err := db.chain.Seal(head, entries)
	if err != nil {
		return nil, err
	}
	var c columns
	for _, s := range sealed {
		c.add(s)
	}
	a := pgdialect.Array
	_, err = tx.NewRaw(appendSQL,
		a(c.numbers), a(c.ids), a(c.at), a(c.actorKinds), a(c.actorIDs), a(c.actions), a(c.kinds), a(c.targets), a(c.requests), a(c.entries), a(c.macs),
		a(c.changed), a(c.changedAt), a(c.forget), a(c.touched),
		head.Number, hex.EncodeToString(head.MAC)).Exec(ctx)
	return c.changes, err
}

// Head returns the end of both logs.
func (db *DB) Head(ctx context.Context) (head journal.Head, err error) {
	err = db.pool.QueryRow(ctx, "SELECT number, mac, epoch::text FROM journal_head").Scan(&head.Number, &head.MAC, &head.Epoch)
	return head, translate(err)
}

// AuditRows yields the audit chain, the oldest first, read in pages so that no
// transaction stays open for long.
func (db *DB) AuditRows(ctx context.Context) iter.Seq2[journal.Row, error] {
	const page = 1000
	return func(yield func(journal.Row, error) bool) {
		for after := int64(0); ; {
			rows, err := db.auditPage(ctx, after, page)
			if err != nil {
				yield(journal.Row{}, translate(err))
				return
			}
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
				after = r.Number
			}
			if len(rows) < page {
				return
			}
		}
	}
}

func (db *DB) auditPage(ctx context.Context, after int64, limit int) ([]journal.Row, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT number, id, at, actor_kind, actor_id, action, target_kind, target_id, request_id, entry, mac
		FROM audit_events WHERE number > $1 ORDER BY number LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r journal.Row, err error) {
		var event string
		err = row.Scan(&r.Number, &event, &r.At, &r.ActorKind, &r.ActorID, &r.Action, &r.TargetKind, &r.TargetID, &r.RequestID, &r.Text, &r.MAC)
		if err == nil {
			err = r.ID.Scan(event)
		}
		return r, err
	})
}
