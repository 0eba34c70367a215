package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

type userRow struct {
	bun.BaseModel `bun:"table:users,alias:u"`

	ID           id.User `bun:",pk"`
	Kind         string
	Name         string
	Username     string `bun:",nullzero"`
	Email        string
	ExternalID   string `bun:",nullzero"`
	Role         string
	PasswordHash string
	Metadata     string
	DisabledAt   *time.Time
	MaxKeys      *int
	SessionStamp int64
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Version      int64
}

func rowOfUser(u users.User) *userRow {
	return &userRow{
		ID: u.ID, Kind: string(u.Kind), Name: u.Name, Username: u.Username, Email: u.Email, ExternalID: u.ExternalID,
		Role: string(u.Role), PasswordHash: string(u.PasswordHash), Metadata: string(u.Metadata), DisabledAt: u.DisabledAt, MaxKeys: u.MaxKeys,
		SessionStamp: u.SessionStamp, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, Version: u.Version,
	}
}

func (r *userRow) domain() users.User {
	return users.User{
		ID: r.ID, Kind: users.Kind(r.Kind), Name: r.Name, Username: r.Username, Email: r.Email, ExternalID: r.ExternalID,
		Role: access.Role(r.Role), PasswordHash: users.PasswordHash(r.PasswordHash), Metadata: json.RawMessage(r.Metadata),
		DisabledAt: r.DisabledAt, MaxKeys: r.MaxKeys, SessionStamp: r.SessionStamp, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
}

// Users keeps users.
type Users struct{ db *DB }

// Users returns the store of users.
func (db *DB) Users() *Users { return &Users{db} }

// Insert implements users.Store.
func (s *Users) Insert(ctx context.Context, u users.User, e journal.Entry) error {
	return s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		if u.Role == access.Owner {
			if err := closeSetup(ctx, tx, e.Caller.IsSetup()); err != nil {
				return nil, err
			}
		}
		_, err := tx.NewInsert().Model(rowOfUser(u)).Exec(ctx)
		return []journal.Entry{e}, err
	})
}

// Update implements users.Store.
func (s *Users) Update(ctx context.Context, user id.User, change func(*users.User) (*journal.Entry, error)) (edited users.User, err error) {
	err = s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		row := &userRow{ID: user}
		if err := tx.NewSelect().Model(row).WherePK().For("UPDATE").Scan(ctx); err != nil {
			return nil, err
		}
		before := row.domain()
		edited = before
		entry, err := change(&edited)
		if err != nil || entry == nil {
			return nil, err
		}
		if before.OpensAll() && !edited.OpensAll() {
			if err := anotherOwner(ctx, tx, user); err != nil {
				return nil, err
			}
		}
		edited.Version++
		_, err = tx.NewUpdate().Model(rowOfUser(edited)).WherePK().Exec(ctx)
		return []journal.Entry{*entry}, err
	})
	return edited, err
}

// anotherOwner refuses where no other user OpensAll. Whoever else stops being one
// waits at the row of the set-up window, which is about the first of them, and
// then sees what was done here.
func anotherOwner(ctx context.Context, tx bun.Tx, but id.User) error {
	if _, err := tx.ExecContext(ctx, "SELECT FROM bootstrap FOR UPDATE"); err != nil {
		return err
	}
	var there bool
	err := tx.NewRaw(`
		SELECT EXISTS (SELECT FROM users WHERE role = 'owner' AND disabled_at IS NULL AND password_hash <> ''
			AND (username IS NOT NULL OR email <> '') AND id <> ?)`, but).Scan(ctx, &there)
	if err == nil && !there {
		err = users.LastOwner()
	}
	return err
}

// ByID implements users.Store.
func (s *Users) ByID(ctx context.Context, user id.User) (users.User, error) {
	return byID(ctx, s.db, &userRow{ID: user}, (*userRow).domain)
}

// List implements users.Store.
func (s *Users) List(ctx context.Context, f users.Filter) ([]users.User, error) {
	var rows []*userRow
	if err := userQuery(s.db.bun, &f).Model(&rows).Scan(ctx); err != nil {
		return nil, translate(err)
	}
	all := make([]users.User, len(rows))
	for i, r := range rows {
		all[i] = r.domain()
	}
	return all, nil
}

// userQuery is a list: each filter alone has an index in its order.
func userQuery(db *bun.DB, f *users.Filter) *bun.SelectQuery {
	q := db.NewSelect().OrderExpr("u.id DESC").Limit(int64(min(max(f.Limit, 1), maxPage)))
	if !f.After.IsZero() {
		q.Where("u.id < ?", f.After)
	}
	for _, exact := range []struct{ column, value string }{
		{"kind", string(f.Kind)}, {"role", string(f.Role)}, {"username", f.Username}, {"external_id", f.ExternalID},
	} {
		if exact.value != "" {
			q.Where("u.? = ?", bun.Ident(exact.column), exact.value)
		}
	}
	if f.Disabled != nil {
		q.Where("(u.disabled_at IS NOT NULL) = ?", *f.Disabled)
	}
	if f.Search != "" {
		containing(q, userTextSQL, f.Search)
	}
	return q
}
