// Package plans owns the subscription tiers. A plan is a live overlay on all
// keys under it: changing it changes them at once, everywhere, because every
// record under it depends on it.
//
// Called by the admin API and by keys, which issues under a plan by its slug;
// the postgres adapter is its Store.
package plans

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/limits"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Plan is a tier.
type Plan struct {
	ID   id.Plan `json:"id"`
	Slug string  `json:"slug"` // unique
	Name string  `json:"name"`
	// Scopes are the most that a key under the plan may carry; none: no bound.
	Scopes     []string   `json:"scopes"`
	Public     bool       `json:"public"`      // in the price list, which anybody may read
	ArchivedAt *time.Time `json:"archived_at"` // no new subscriptions; the old ones go on
	// MaxKeys bounds the live API keys of each user under the plan; nil: any
	// number. A bound of the user's own goes before it.
	MaxKeys *int `json:"max_keys"`
	// KeyMaxLifetimeDays is the longest that a key issued under the plan lives;
	// nil: for ever. It does not reach keys that were issued before.
	KeyMaxLifetimeDays *int `json:"key_max_lifetime_days"`
	// TrialDays is how long a subscription that is made under the plan is a trial;
	// nil: it starts active. It does not reach those there are.
	TrialDays *int `json:"trial_days"`
	// LimitIDs are the limits of keys under the plan, no two of one name. They are
	// kept, and not enforced: see package limits.
	LimitIDs []id.Limit `json:"limit_ids"`

	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`
	Version   int64     `json:"-"`
}

// The most that KeyMaxLifetimeDays and TrialDays can be.
const (
	MaxLifetimeDays = 36500
	MaxTrialDays    = 365
	MaxLimits       = 16
)

// CountedKeys is up to how many live keys are counted one by one.
const CountedKeys = 10_000

// LiveKeys is how many keys a change of a plan touches.
type LiveKeys struct {
	Count int
	// Estimated: there are more than CountedKeys, about Count. Counting a million
	// takes a second, and nobody decides differently for the last digits.
	Estimated bool
}

// Filter narrows a list.
type Filter struct {
	Slug     string
	Offered  bool   // only public ones that take new subscriptions
	Archived *bool  // only those that are, or that are not
	Search   string // a part of the slug or the name
	After    id.Plan
	Limit    int
}

// Store keeps plans, under the same contract as users.Store.
type Store interface {
	Insert(ctx context.Context, p Plan, e journal.Entry) error
	Update(ctx context.Context, plan id.Plan, change func(*Plan) (*journal.Entry, error)) (Plan, error)
	ByID(ctx context.Context, plan id.Plan) (Plan, error)
	BySlug(ctx context.Context, slug string) (Plan, error)
	List(ctx context.Context, f Filter) ([]Plan, error)
	// LiveKeys counts the live API keys under a plan, as keys.Key has it: they are
	// good, or will be without a change of their dates, and not rotated.
	LiveKeys(ctx context.Context, plan id.Plan, at time.Time) (LiveKeys, error)
}

// Limits finds limits.
type Limits interface {
	List(ctx context.Context, f limits.Filter) ([]limits.Limit, error)
}

// Service is what may be done with plans. Safe for concurrent use.
type Service struct {
	store  Store
	limits Limits
	now    clock.Clock
}

// New returns the service over a store.
func New(store Store, limits Limits, now func() time.Time) *Service {
	return &Service{store: store, limits: limits, now: now}
}

// NewPlan is a plan to be made.
type NewPlan struct {
	Slug, Name string
	Scopes     []string
	Public     bool

	MaxKeys, KeyMaxLifetimeDays, TrialDays *int

	LimitIDs []id.Limit
}

// Create makes a plan. It needs plans:write.
func (s *Service) Create(ctx context.Context, caller access.Caller, in NewPlan) (Plan, error) {
	if err := caller.Require(access.PlansWrite); err != nil {
		return Plan{}, err
	}
	now := s.now.Moment()
	p := Plan{ID: id.New[id.PlanKind](), Slug: in.Slug, Name: in.Name, Scopes: in.Scopes, Public: in.Public,
		MaxKeys: in.MaxKeys, KeyMaxLifetimeDays: in.KeyMaxLifetimeDays, TrialDays: in.TrialDays, LimitIDs: in.LimitIDs, CreatedAt: now, UpdatedAt: now, Version: 1}
	known, err := s.known(ctx, in.LimitIDs)
	if err != nil {
		return Plan{}, err
	}
	if err := p.check(known, nil); err != nil {
		return Plan{}, err
	}
	_, after := journal.Diff(struct{}{}, p)
	e := journal.Entry{Caller: caller, At: now, Action: "plan.create", Target: p.target(), After: after}
	return p, s.store.Insert(ctx, p, e)
}

// Patch is a change of some of a plan's settings.
type Patch struct {
	Slug, Name field.Change[string]
	Scopes     field.Change[[]string]
	Public     field.Change[bool]
	Archived   field.Change[bool]
	Version    int64

	MaxKeys, KeyMaxLifetimeDays, TrialDays field.Change[*int]

	LimitIDs field.Change[[]id.Limit]
}

// Update changes a plan and with it every key under it. It needs plans:write.
func (s *Service) Update(ctx context.Context, caller access.Caller, plan id.Plan, patch Patch) (Plan, error) {
	if err := caller.Require(access.PlansWrite); err != nil {
		return Plan{}, err
	}
	known, err := s.known(ctx, patch.LimitIDs.Value)
	if err != nil {
		return Plan{}, err
	}
	return s.store.Update(ctx, plan, func(p *Plan) (*journal.Entry, error) {
		before := *p
		if err := fault.CheckVersion(patch.Version, p.Version); err != nil {
			return nil, err
		}
		patch.Slug.Apply(&p.Slug)
		patch.Name.Apply(&p.Name)
		patch.Scopes.Apply(&p.Scopes)
		patch.Public.Apply(&p.Public)
		patch.MaxKeys.Apply(&p.MaxKeys)
		patch.KeyMaxLifetimeDays.Apply(&p.KeyMaxLifetimeDays)
		patch.TrialDays.Apply(&p.TrialDays)
		patch.LimitIDs.Apply(&p.LimitIDs)
		s.archive(p, patch.Archived)
		if !patch.LimitIDs.Present {
			known = nil // they were looked at when they were set
		}
		if err := p.check(known, before.LimitIDs); err != nil {
			return nil, err
		}
		was, is := journal.Diff(before, p)
		if len(is) == 0 {
			return nil, nil
		}
		p.UpdatedAt = s.now.Moment()
		return &journal.Entry{
			Caller: caller, At: p.UpdatedAt, Action: "plan.update", Target: p.target(), Before: was, After: is,
			Touches: []string{p.ID.String()},
			Refresh: apikey.Within(before.Scopes, p.Scopes),
		}, nil
	})
}

func (s *Service) archive(p *Plan, c field.Change[bool]) {
	switch {
	case !c.Present:
	case !c.Value:
		p.ArchivedAt = nil
	case p.ArchivedAt == nil:
		now := s.now.Moment()
		p.ArchivedAt = &now
	}
}

// ByID returns a plan. It needs plans:read.
func (s *Service) ByID(ctx context.Context, caller access.Caller, plan id.Plan) (Plan, error) {
	if err := caller.Require(access.PlansRead); err != nil {
		return Plan{}, err
	}
	return s.store.ByID(ctx, plan)
}

// LiveKeys tells how many keys a change of the plan touches. It needs plans:read.
func (s *Service) LiveKeys(ctx context.Context, caller access.Caller, plan id.Plan) (LiveKeys, error) {
	if err := caller.Require(access.PlansRead); err != nil {
		return LiveKeys{}, err
	}
	return s.store.LiveKeys(ctx, plan, s.now.Moment())
}

// List returns a page of plans, the newest first. It needs plans:read.
func (s *Service) List(ctx context.Context, caller access.Caller, f Filter) ([]Plan, error) {
	if err := caller.Require(access.PlansRead); err != nil {
		return nil, err
	}
	var wrong fault.Fields
	field.Search(&wrong, "query.q", &f.Search)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return s.store.List(ctx, f)
}

// maxOffered bounds the price list.
const maxOffered = 200

// Offered returns the price list, the newest plan first: anybody may read it.
func (s *Service) Offered(ctx context.Context) ([]Plan, error) {
	return s.store.List(ctx, Filter{Offered: true, Limit: maxOffered})
}

func (p *Plan) target() journal.Target {
	return journal.Target{Kind: "plan", ID: p.ID.String(), Name: p.Slug}
}

// check notes every value that breaks a rule. known are the limits that the plan
// is to have, nil where that is not new, had those that it has had.
func (p *Plan) check(known map[id.Limit]limits.Limit, had []id.Limit) error {
	var f fault.Fields
	if known != nil {
		p.checkLimits(&f, known, had)
	}
	if p.LimitIDs == nil {
		p.LimitIDs = []id.Limit{}
	}
	if p.Scopes == nil {
		p.Scopes = []string{}
	}
	field.Slug(&f, "body.slug", p.Slug)
	field.Name(&f, "body.name", p.Name)
	field.Scopes(&f, "body.scopes", p.Scopes)
	field.Bound(&f, "body.max_keys", p.MaxKeys, field.MaxKeys)
	days(&f, "body.key_max_lifetime_days", p.KeyMaxLifetimeDays, MaxLifetimeDays)
	days(&f, "body.trial_days", p.TrialDays, MaxTrialDays)
	return f.Err()
}

func days(f *fault.Fields, location string, value *int, most int) {
	f.Check(value == nil || *value >= 1 && *value <= most, location, "1 to %d, or null", most)
}
