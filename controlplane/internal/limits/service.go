package limits

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// Service is what may be done with limits: they are parts of plans, and need the
// scopes of plans. Safe for concurrent use.
type Service struct {
	store Store
	now   clock.Clock
}

// New returns the service over a store.
func New(store Store, now func() time.Time) *Service { return &Service{store: store, now: now} }

// NewLimit is a limit to be made. Subject is the key, Mode enforce, TimeZone UTC
// where they are not given; OnUnavailable allow for a rate, deny for a quota.
type NewLimit struct {
	Name          string
	Kind          Kind
	Amount        int64
	WindowSeconds *int
	Period        Period
	TimeZone      string
	Subject       Subject
	Mode          Mode
	OnUnavailable Fallback
}

// Create makes a limit. It needs plans:write.
func (s *Service) Create(ctx context.Context, caller access.Caller, in NewLimit) (Limit, error) {
	if err := caller.Require(access.PlansWrite); err != nil {
		return Limit{}, err
	}
	now := s.now.Moment()
	l := Limit{
		ID: id.New[id.LimitKind](), Name: in.Name, Kind: in.Kind, Amount: in.Amount, WindowSeconds: in.WindowSeconds, Period: in.Period,
		TimeZone: in.TimeZone, Subject: in.Subject, Mode: in.Mode, OnUnavailable: in.OnUnavailable, CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if err := l.check(); err != nil {
		return Limit{}, err
	}
	_, after := journal.Diff(struct{}{}, l)
	return l, s.store.Insert(ctx, l, journal.Entry{Caller: caller, At: now, Action: "limit.create", Target: l.target(), After: after})
}

// Patch is a change of some of a limit's settings. What is cleared gets its
// usual value.
type Patch struct {
	Amount        field.Change[int64]
	WindowSeconds field.Change[*int]
	Period        field.Change[Period]
	TimeZone      field.Change[string]
	Subject       field.Change[Subject]
	Mode          field.Change[Mode]
	OnUnavailable field.Change[Fallback]
	Archived      field.Change[bool]
	Version       int64
}

// Update changes a limit, for every plan that has it. It needs plans:write. No
// cache holds anything of a limit, so none is told.
func (s *Service) Update(ctx context.Context, caller access.Caller, limit id.Limit, p Patch) (Limit, error) {
	if err := caller.Require(access.PlansWrite); err != nil {
		return Limit{}, err
	}
	return s.store.Update(ctx, limit, func(l *Limit) (*journal.Entry, error) {
		before := *l
		if err := fault.CheckVersion(p.Version, l.Version); err != nil {
			return nil, err
		}
		p.apply(l)
		s.archive(l, p.Archived)
		if err := l.check(); err != nil {
			return nil, err
		}
		was, is := journal.Diff(before, l)
		if len(is) == 0 {
			return nil, nil
		}
		l.UpdatedAt = s.now.Moment()
		return &journal.Entry{Caller: caller, At: l.UpdatedAt, Action: "limit.update", Target: l.target(), Before: was, After: is}, nil
	})
}

func (p *Patch) apply(l *Limit) {
	p.Amount.Apply(&l.Amount)
	p.WindowSeconds.Apply(&l.WindowSeconds)
	if p.Period.Present && p.Period.Value == OfSubscription {
		l.TimeZone = "" // it has none
	}
	p.Period.Apply(&l.Period)
	p.TimeZone.Apply(&l.TimeZone)
	p.Subject.Apply(&l.Subject)
	p.Mode.Apply(&l.Mode)
	p.OnUnavailable.Apply(&l.OnUnavailable)
}

func (s *Service) archive(l *Limit, c field.Change[bool]) {
	switch {
	case !c.Present:
	case !c.Value:
		l.ArchivedAt = nil
	case l.ArchivedAt == nil: // the first stamp stays
		now := s.now.Moment()
		l.ArchivedAt = &now
	}
}

// ByID returns a limit. It needs plans:read.
func (s *Service) ByID(ctx context.Context, caller access.Caller, limit id.Limit) (Limit, error) {
	if err := caller.Require(access.PlansRead); err != nil {
		return Limit{}, err
	}
	return s.store.ByID(ctx, limit)
}

// List returns a page of limits, the newest first. It needs plans:read.
func (s *Service) List(ctx context.Context, caller access.Caller, f Filter) ([]Limit, error) {
	if err := caller.Require(access.PlansRead); err != nil {
		return nil, err
	}
	return s.store.List(ctx, f)
}
