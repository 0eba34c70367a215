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

func (r *userRow) bumpVersion() { r.Version++ }

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
func (s *Users) Update(ctx context.Context, user id.User, change func(*users.User) (*journal.Entry, error)) (users.User, error) {
	return update(ctx, s.db, &userRow{ID: user}, (*userRow).domain, rowOfUser, change)
}

// ByID implements users.Store.
func (s *Users) ByID(ctx context.Context, user id.User) (users.User, error) {
	return byID(ctx, s.db, &userRow{ID: user}, (*userRow).domain)
}

// List implements users.Store.
func (s *Users) List(ctx context.Context, f users.Filter) ([]users.User, error) {
	return list(ctx, s.db, f.After, f.Limit, (*userRow).domain, func(q *bun.SelectQuery) {
		if f.Role != "" {
			q.Where("u.role = ?", string(f.Role))
		}
		if f.Username != "" {
			q.Where("u.username = ?", f.Username)
		}
		if f.Search != "" { // the expression of users_text_idx
			q.Where(`(u.name || E'\n' || COALESCE(u.username, '') || E'\n' || u.email || E'\n' || COALESCE(u.external_id, '')) ILIKE ?`, containing(f.Search))
		}
	})
}
