package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// pageSize is how many changes one read of the change log returns at most.
const pageSize = 1000

// stream is the connection on which a replica listens for and reads changes.
// Reading on the connection that listens leaves no gap between the two.
type stream struct {
	conn *pgx.Conn
	said func(string)
}

// replicaChannel is where replicas say how far they have followed.
const replicaChannel = "latchkey_replicas"

// Open connects, listens, and marks a new epoch where the database is served by
// another server, or in another timeline, than the one that wrote it last: a
// backup was restored or a standby promoted, and numbers may have been used twice.
func (db *DB) Open(ctx context.Context) (journal.Stream, error) {
	conn, err := pgx.ConnectConfig(ctx, db.dsn.Copy())
	if err != nil {
		return nil, translate(err)
	}
	s := &stream{conn: conn, said: db.said}
	if err := s.prepare(ctx); err != nil {
		s.Close()
		return nil, translate(err)
	}
	return s, nil
}

func (s *stream) prepare(ctx context.Context) error {
	var standby bool
	if err := s.conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
		return err
	}
	if standby {
		return fault.New(fault.Unavailable, "DATABASE_URL leads to a standby; changes are read from the primary").
			WithFix("add target_session_attrs=read-write to DATABASE_URL")
	}
	var system string
	err := s.conn.QueryRow(ctx, `
		SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) FROM pg_control_system()`).Scan(&system)
	if err != nil {
		return err
	}
	_, err = s.conn.Exec(ctx, `
		UPDATE journal_head SET epoch = CASE system WHEN '' THEN epoch ELSE gen_random_uuid() END, system = $1
		WHERE system <> $1`, system)
	if err != nil {
		return err
	}
	_, err = s.conn.Exec(ctx, "LISTEN "+channel+"; LISTEN "+replicaChannel, pgx.QueryExecModeSimpleProtocol)
	return err
}

// Read returns the head and the changes after a number in one statement, so
// that they are of one moment.
func (s *stream) Read(ctx context.Context, after int64) (page journal.Page, err error) {
	rows, err := s.conn.Query(ctx, `
		SELECT h.number, h.low, h.epoch::text, ARRAY(SELECT prefix FROM key_prefixes ORDER BY prefix), coalesce(c.number, 0), coalesce(c.forget, false), coalesce(c.ids, '{}')
		FROM journal_head h LEFT JOIN LATERAL (
		    SELECT number, forget, ids FROM changes WHERE number > $1 ORDER BY number LIMIT $2
		) c ON true ORDER BY c.number`, pgx.QueryExecModeCacheStatement, after, pageSize+1)
	if err != nil {
		return page, translate(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c journal.Change
		if err := rows.Scan(&page.Head.Number, &page.Low, &page.Head.Epoch, &page.Head.Prefixes, &c.Number, &c.Forget, &c.IDs); err != nil {
			return page, translate(err)
		}
		if c.Number > 0 {
			page.Changes = append(page.Changes, c)
		}
	}
	if page.More = len(page.Changes) > pageSize; page.More {
		page.Changes = page.Changes[:pageSize]
	}
	return page, translate(rows.Err())
}

// Wait returns when a change was notified or ctx is done. What replicas say is
// passed on meanwhile.
func (s *stream) Wait(ctx context.Context) error {
	for {
		n, err := s.conn.WaitForNotification(ctx)
		switch {
		case ctx.Err() != nil && !s.conn.IsClosed():
			return nil
		case err != nil:
			return translate(err)
		case n.Channel != replicaChannel:
			return nil
		}
		s.said(n.Payload)
	}
}

// Say tells every replica that listens a short text; nothing keeps it.
func (db *DB) Say(ctx context.Context, text string) error {
	_, err := db.pool.Exec(ctx, "SELECT pg_notify($1, $2)", replicaChannel, text)
	return translate(err)
}

// Close ends the connection without waiting for the server.
func (s *stream) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	_ = s.conn.Close(ctx)
}
