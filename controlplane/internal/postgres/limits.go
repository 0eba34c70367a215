package postgres

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/limits"
)

type limitRow struct {
	bun.BaseModel `bun:"table:limits,alias:l"`

	ID            id.Limit `bun:",pk"`
	Name          string
	Kind          string
	Amount        int64
	WindowSeconds *int
	Period        string
	TimeZone      string
	Subject       string
	Mode          string
	OnUnavailable string
	ArchivedAt    *time.Time
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Version       int64
}

func rowOfLimit(l limits.Limit) *limitRow {
	return &limitRow{
		ID: l.ID, Name: l.Name, Kind: string(l.Kind), Amount: l.Amount, WindowSeconds: l.WindowSeconds, Period: string(l.Period), TimeZone: l.TimeZone,
		Subject: string(l.Subject), Mode: string(l.Mode), OnUnavailable: string(l.OnUnavailable), ArchivedAt: l.ArchivedAt,
		CreatedAt: l.CreatedAt, UpdatedAt: l.UpdatedAt, Version: l.Version,
	}
}

func (r *limitRow) domain() limits.Limit {
	return limits.Limit{
		ID: r.ID, Name: r.Name, Kind: limits.Kind(r.Kind), Amount: r.Amount, WindowSeconds: r.WindowSeconds, Period: limits.Period(r.Period), TimeZone: r.TimeZone,
		Subject: limits.Subject(r.Subject), Mode: limits.Mode(r.Mode), OnUnavailable: limits.Fallback(r.OnUnavailable), ArchivedAt: r.ArchivedAt,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
}

func (r *limitRow) bumpVersion() { r.Version++ }

// Limits keeps limits.
type Limits struct{ db *DB }

// Limits returns the store of limits.
func (db *DB) Limits() *Limits { return &Limits{db} }

// Insert implements limits.Store.
func (s *Limits) Insert(ctx context.Context, l limits.Limit, e journal.Entry) error {
	return s.db.insert(ctx, rowOfLimit(l), e)
}

// Update implements limits.Store.
func (s *Limits) Update(ctx context.Context, limit id.Limit, change func(*limits.Limit) (*journal.Entry, error)) (limits.Limit, error) {
	return update(ctx, s.db, &limitRow{ID: limit}, (*limitRow).domain, rowOfLimit, change)
}

// ByID implements limits.Store.
func (s *Limits) ByID(ctx context.Context, limit id.Limit) (limits.Limit, error) {
	return byID(ctx, s.db, &limitRow{ID: limit}, (*limitRow).domain)
}

// List implements limits.Store.
func (s *Limits) List(ctx context.Context, f limits.Filter) ([]limits.Limit, error) {
	return list(ctx, s.db, f.After, f.Limit, (*limitRow).domain, func(q *bun.SelectQuery) {
		if f.IDs != nil {
			q.Where("l.id IN (?)", bun.List(f.IDs))
		}
		if f.Name != "" {
			q.Where("l.name = ?", f.Name)
		}
		if f.Kind != "" {
			q.Where("l.kind = ?", string(f.Kind))
		}
		if f.Archived != nil {
			q.Where("(l.archived_at IS NOT NULL) = ?", *f.Archived)
		}
	})
}
