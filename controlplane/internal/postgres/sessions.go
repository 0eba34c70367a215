package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

type sessionRow struct {
	bun.BaseModel `bun:"table:sessions,alias:s"`

	ID          id.Session `bun:",pk"`
	UserID      id.User
	Stamp       int64
	CreatedAt   time.Time
	RefreshedAt time.Time
	ExpiresAt   time.Time
	EndsAt      time.Time
	Address     string
	UserAgent   string
	User        *userRow `bun:"rel:belongs-to,join:user_id=id"`
}

func (r *sessionRow) domain() identity.Session {
	return identity.Session{
		ID: r.ID, UserID: r.UserID, Stamp: r.Stamp, CreatedAt: r.CreatedAt, RefreshedAt: r.RefreshedAt,
		ExpiresAt: r.ExpiresAt, EndsAt: r.EndsAt, Address: r.Address, UserAgent: r.UserAgent,
	}
}

// Sessions keeps sessions.
type Sessions struct{ db *DB }

// Sessions returns the store of sessions.
func (db *DB) Sessions() *Sessions { return &Sessions{db} }

// sessionColumns are those of a sessionRow.
const sessionColumns = "id, user_id, stamp, created_at, refreshed_at, expires_at, ends_at, address, user_agent"

// witnessed locks a user, writes to the user's sessions and appends the entry that
// the witness makes of the rows that came back: all, or nothing where it makes none.
func (s *Sessions) witnessed(ctx context.Context, user id.User, w identity.Witness, sql string, args ...any) (done bool, err error) {
	err = s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		done = false
		u := &userRow{ID: user}
		if err := tx.NewSelect().Model(u).WherePK().For("NO KEY UPDATE").Scan(ctx); err != nil {
			return nil, err
		}
		var rows []*sessionRow
		if err := tx.NewRaw(sql, args...).Scan(ctx, &rows); err != nil {
			return nil, err
		}
		sessions := make([]identity.Session, len(rows))
		for i, r := range rows {
			sessions[i] = r.domain()
		}
		e := w(u.domain(), sessions)
		if e == nil {
			return nil, nil
		}
		done = true
		return []journal.Entry{*e}, nil
	})
	return done && err == nil, err
}

// startSQL clears away as much as it might add, and more, so that no job is
// needed for it. Rows that somebody else is clearing away are passed over.
const startSQL = `
WITH surplus AS (
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE user_id = ?2 ORDER BY id DESC OFFSET ?10 FOR UPDATE SKIP LOCKED)
    RETURNING ` + sessionColumns + `
), over AS (
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions WHERE expires_at <= ?4 ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED)
), began AS (
    INSERT INTO sessions (id, digest, user_id, stamp, created_at, refreshed_at, expires_at, ends_at, address, user_agent)
    VALUES (?0, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
)
SELECT * FROM surplus ORDER BY id`

// Start implements identity.Sessions.
func (s *Sessions) Start(ctx context.Context, in identity.Session, d identity.Digest, w identity.Witness) (bool, error) {
	return s.witnessed(ctx, in.UserID, w, startSQL,
		in.ID, d[:], in.UserID, in.Stamp, in.CreatedAt, in.RefreshedAt, in.ExpiresAt, in.EndsAt, in.Address, in.UserAgent,
		identity.MaxSessions-1)
}

// Renew implements identity.Sessions: the row is found by its old digest, so of
// two writers the second finds nothing.
func (s *Sessions) Renew(ctx context.Context, r identity.Renewal, w identity.Witness) (bool, error) {
	return s.witnessed(ctx, r.Session.UserID, w, `
		UPDATE sessions SET digest = ?1, refreshed_at = ?2, expires_at = ?3, address = ?4, user_agent = ?5 WHERE digest = ?0
		RETURNING `+sessionColumns,
		r.Old[:], r.New[:], r.Session.RefreshedAt, r.Session.ExpiresAt, r.Session.Address, r.Session.UserAgent)
}

// End implements identity.Sessions.
func (s *Sessions) End(ctx context.Context, which identity.Which, w identity.Witness) (bool, error) {
	if which.One.IsZero() {
		return s.witnessed(ctx, which.User, w, endOf("id <> ?1"), which.User, which.Except)
	}
	return s.witnessed(ctx, which.User, w, endOf("id = ?1"), which.User, which.One)
}

func endOf(condition string) string {
	return "WITH ended AS (DELETE FROM sessions WHERE user_id = ?0 AND " + condition + " RETURNING " + sessionColumns + ") SELECT * FROM ended ORDER BY id"
}

// ByDigest implements identity.Sessions.
func (s *Sessions) ByDigest(ctx context.Context, d identity.Digest) (identity.Current, bool, error) {
	var rows []*sessionRow
	err := s.db.bun.NewSelect().Model(&rows).Relation("User").Where("s.digest = ?", d[:]).Scan(ctx)
	if err != nil || len(rows) == 0 {
		return identity.Current{}, false, translate(err)
	}
	return rows[0].current(), true, nil
}

// ByID implements identity.Sessions.
func (s *Sessions) ByID(ctx context.Context, session id.Session) (identity.Current, error) {
	row := &sessionRow{ID: session}
	if err := s.db.bun.NewSelect().Model(row).Relation("User").WherePK().Scan(ctx); err != nil {
		return identity.Current{}, translate(err)
	}
	return row.current(), nil
}

func (r *sessionRow) current() identity.Current {
	return identity.Current{Session: r.domain(), User: r.User.domain()}
}

// List implements identity.Sessions.
func (s *Sessions) List(ctx context.Context, f identity.Filter) ([]identity.Session, error) {
	return list(ctx, s.db, f.After, f.Limit, (*sessionRow).domain, func(q *bun.SelectQuery) {
		q.Join("JOIN users AS u ON u.id = s.user_id").
			Where("s.expires_at > ? AND s.ends_at > ? AND s.stamp = u.session_stamp AND u.disabled_at IS NULL", f.Now, f.Now).
			Where("s.refreshed_at > ? AND s.created_at > ?", f.Now.Add(-f.Ends.Idle), f.Now.Add(-f.Ends.Whole))
		if !f.User.IsZero() {
			q.Where("s.user_id = ?", f.User)
		}
	})
}

// Account implements identity.Accounts.
func (s *Users) Account(ctx context.Context, login string) (u users.User, ok bool, err error) {
	var rows []*userRow
	err = s.db.bun.NewRaw(`
		SELECT * FROM users WHERE username = ?0
		UNION ALL (SELECT * FROM users WHERE lower(email) = ?0 AND email <> '' AND password_hash <> '' LIMIT 2)`, login).Scan(ctx, &rows)
	switch {
	case err != nil:
		return u, false, translate(err)
	case len(rows) == 0:
		return u, false, nil
	case rows[0].Username == login:
		return rows[0].domain(), true, nil
	case len(rows) > 1: // an address of several users names none
		return u, false, nil
	}
	return rows[0].domain(), true, nil
}

// Rehash implements identity.Accounts. The version stays: nothing that anyone
// could read has changed.
func (s *Users) Rehash(ctx context.Context, user id.User, old, stronger users.PasswordHash) error {
	_, err := s.db.pool.Exec(ctx, "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
		pgx.QueryExecModeExec, user, string(old), string(stronger))
	return translate(err)
}
