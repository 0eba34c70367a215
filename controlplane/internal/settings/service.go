package settings

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// ID names the settings in the change log.
const ID = "settings"

// hearing is how long what was heard of the change log is believed. Other
// replicas wait for one that is silent no longer than that.
const hearing = 3 * time.Second

// Service is what may be done with settings, and a journal.Sink: a replica's
// Follower and its own commits tell it when they changed. Safe for concurrent
// use.
type Service struct {
	store Store
	now   clock.Clock

	told  atomic.Uint64             // how often they may have changed
	heard atomic.Pointer[time.Time] // when everything up to the head had been told
	kept  atomic.Pointer[reading]
}

// reading is what was read when told was so much.
type reading struct {
	values Values
	told   uint64
}

// New returns the service.
func New(store Store, now func() time.Time) *Service { return &Service{store: store, now: now} }

// Values returns what counts now. An error is Unavailable: what goes by the
// values cannot be decided then. It reads the store only after a change, or
// where the change log is not heard.
func (s *Service) Values(ctx context.Context) (Values, error) {
	told := s.told.Load() // before the store is read: a change meanwhile makes the reading old
	if k, heard := s.kept.Load(), s.heard.Load(); k != nil && k.told == told && heard != nil && s.now().Sub(*heard) < hearing {
		return k.values, nil
	}
	read, err := s.store.Read(ctx)
	if err != nil {
		return Values{}, err
	}
	values := read.Values()
	s.kept.Store(&reading{values, told})
	return values, nil
}

// Reset implements journal.Sink.
func (s *Service) Reset(journal.Head) { s.told.Add(1) }

// Apply implements journal.Sink.
func (s *Service) Apply(c journal.Change) {
	if slices.Contains(c.IDs, ID) {
		s.told.Add(1)
	}
}

// Heard implements journal.Sink.
func (s *Service) Heard(journal.Head) {
	now := s.now()
	s.heard.Store(&now)
}

// Current returns the settings. It needs settings:write, as there is no scope to
// read them alone.
func (s *Service) Current(ctx context.Context, caller access.Caller) (Settings, error) {
	if err := caller.Require(access.SettingsWrite); err != nil {
		return Settings{}, err
	}
	return s.store.Read(ctx)
}

// Patch is a change of some settings; nil clears a choice, so that the default
// counts.
type Patch struct {
	Each[field.Change[*int]]
	Version int64
}

// Change changes settings at every replica. It needs settings:write.
func (s *Service) Change(ctx context.Context, caller access.Caller, p Patch) (Settings, error) {
	if err := caller.Require(access.SettingsWrite); err != nil {
		return Settings{}, err
	}
	return s.store.Update(ctx, func(current *Settings) (*journal.Entry, error) {
		if err := fault.CheckVersion(p.Version, current.Version); err != nil {
			return nil, err
		}
		before := *current
		for i, change := range p.all() {
			change.Apply(current.Chosen.all()[i])
		}
		if err := current.check(); err != nil {
			return nil, err
		}
		was, is := differences(before, *current)
		if len(is) == 0 {
			return nil, nil
		}
		now := s.now.Moment()
		current.ChangedAt = &now
		return &journal.Entry{
			Caller: caller, At: now, Action: "settings.change", Target: journal.Target{Kind: "settings", ID: ID},
			Before: was, After: is, Touches: []string{ID},
		}, nil
	})
}
