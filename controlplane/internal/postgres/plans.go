package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
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
	TrialDays          *int
	LimitIDs           []string `bun:"limit_ids,array"`

	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64
}

func rowOfPlan(p plans.Plan) *planRow {
	limits := make([]string, len(p.LimitIDs))
	for i, l := range p.LimitIDs {
		limits[i] = l.UUID().String()
	}
	return &planRow{
		ID: p.ID, Slug: p.Slug, Name: p.Name, Scopes: p.Scopes, Public: p.Public, ArchivedAt: p.ArchivedAt,
		MaxKeys: p.MaxKeys, KeyMaxLifetimeDays: p.KeyMaxLifetimeDays, TrialDays: p.TrialDays, LimitIDs: limits,
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Version: p.Version,
	}
}

func (r *planRow) domain() plans.Plan {
	limits := make([]id.Limit, len(r.LimitIDs))
	for i, text := range r.LimitIDs {
		limits[i] = id.From[id.LimitKind](uuid.MustParse(text)) // the column holds nothing else
	}
	return plans.Plan{
		ID: r.ID, Slug: r.Slug, Name: r.Name, Scopes: r.Scopes, Public: r.Public, ArchivedAt: r.ArchivedAt,
		MaxKeys: r.MaxKeys, KeyMaxLifetimeDays: r.KeyMaxLifetimeDays, TrialDays: r.TrialDays, LimitIDs: limits,
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
			reading(q, `(p.slug || E'\n' || p.name)`, f.Search)
		}
		if f.Offered {
			q.Where("p.public AND p.archived_at IS NULL")
		}
		if f.Archived != nil {
			q.Where("(p.archived_at IS NOT NULL) = ?", *f.Archived)
		}
	})
}

// LiveKeys implements plans.Store. The index of plan and status is read up to
// CountedKeys. Beyond, the server estimates from what it knows of the spread of
// plans and of statuses; the other conditions it would take for independent.
func (s *Plans) LiveKeys(ctx context.Context, plan id.Plan, at time.Time) (live plans.LiveKeys, err error) {
	const under = "SELECT FROM keys k WHERE k.plan_id = ? AND "
	counted := s.db.bun.NewRaw("SELECT count(*) FROM ("+under+"k.kind = 'api' AND "+liveSQL+" LIMIT ?) AS live", plan, at, plans.CountedKeys+1)
	if err := counted.Scan(ctx, &live.Count); err != nil || live.Count <= plans.CountedKeys {
		return live, translate(err)
	}
	var account []byte
	if err := s.db.bun.NewRaw("EXPLAIN (FORMAT JSON) "+under+liveStampSQL, plan).Scan(ctx, &account); err != nil {
		return live, translate(err)
	}
	var parts []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal(account, &parts); err != nil || len(parts) == 0 {
		return live, translate(errors.Join(err, errors.New("postgres: EXPLAIN says nothing")))
	}
	return plans.LiveKeys{Count: max(live.Count, int(parts[0].Plan.Rows)), Estimated: true}, nil
}
