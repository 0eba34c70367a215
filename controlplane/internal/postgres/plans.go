package postgres

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
)

type planRow struct {
	bun.BaseModel `bun:"table:plans,alias:p"`

	ID         id.Plan `bun:",pk"`
	Slug       string
	Name       string
	Scopes     []string `bun:",array"`
	Public     bool
	ArchivedAt *time.Time
	MaxKeys    *int

	KeyMaxLifetimeDays *int

	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64
}

func rowOfPlan(p plans.Plan) *planRow {
	return &planRow{
		ID: p.ID, Slug: p.Slug, Name: p.Name, Scopes: p.Scopes, Public: p.Public, ArchivedAt: p.ArchivedAt,
		MaxKeys: p.MaxKeys, KeyMaxLifetimeDays: p.KeyMaxLifetimeDays,
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Version: p.Version,
	}
}

func (r *planRow) domain() plans.Plan {
	return plans.Plan{
		ID: r.ID, Slug: r.Slug, Name: r.Name, Scopes: r.Scopes, Public: r.Public, ArchivedAt: r.ArchivedAt,
		MaxKeys: r.MaxKeys, KeyMaxLifetimeDays: r.KeyMaxLifetimeDays,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
}

func (r *planRow) bumpVersion() { r.Version++ }

// Plans keeps plans.
type Plans struct{ db *DB }

// Plans returns the store of plans.
func (db *DB) Plans() *Plans { return &Plans{db} }

// Insert implements plans.Store.
func (s *Plans) Insert(ctx context.Context, p plans.Plan, e journal.Entry) error {
	return s.db.insert(ctx, rowOfPlan(p), e)
}

// Update implements plans.Store.
func (s *Plans) Update(ctx context.Context, plan id.Plan, change func(*plans.Plan) (*journal.Entry, error)) (plans.Plan, error) {
	return update(ctx, s.db, &planRow{ID: plan}, (*planRow).domain, rowOfPlan, change)
}

// ByID implements plans.Store.
func (s *Plans) ByID(ctx context.Context, plan id.Plan) (plans.Plan, error) {
	return byID(ctx, s.db, &planRow{ID: plan}, (*planRow).domain)
}

// BySlug implements keys.Plans.
func (s *Plans) BySlug(ctx context.Context, slug string) (plans.Plan, error) {
	row := new(planRow)
	if err := s.db.bun.NewSelect().Model(row).Where("slug = ?", slug).Scan(ctx); err != nil {
		return plans.Plan{}, translate(err)
	}
	return row.domain(), nil
}

// List implements plans.Store.
func (s *Plans) List(ctx context.Context, f plans.Filter) ([]plans.Plan, error) {
	return list(ctx, s.db, f.After, f.Limit, (*planRow).domain, func(q *bun.SelectQuery) {
		if f.Slug != "" {
			q.Where("p.slug = ?", f.Slug)
		}
		if f.Search != "" {
			q.Where("(p.slug ILIKE ? OR p.name ILIKE ?)", containing(f.Search), containing(f.Search))
		}
		if f.Offered {
			q.Where("p.public AND p.archived_at IS NULL")
		}
	})
}
