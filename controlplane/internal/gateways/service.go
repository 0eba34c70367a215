package gateways

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/shared/wire"
)

// Roll is every gateway that is kept, with the end of the change log, of one
// moment.
type Roll struct {
	Now      time.Time // on the database's clock
	Epoch    string
	Gateways []Gateway // by name, then the first registered first
}

// Store keeps the roll, shared by all replicas.
type Store interface {
	// Seen notes what a gateway says, now. One that is not known is added.
	Seen(ctx context.Context, g Gateway) error
	// Remove forgets a gateway if it was not seen after a moment.
	Remove(ctx context.Context, instance uuid.UUID, seen time.Time) error
	// Strike is Remove with a journal entry. It reports whether it did so.
	Strike(ctx context.Context, instance uuid.UUID, seen time.Time, e journal.Entry) (bool, error)
	Roll(ctx context.Context) (Roll, error)
	// LastChange returns the number of the last change of a thing.
	LastChange(ctx context.Context, target string) (int64, error)
	// Prune drops changes that were written before a moment, the oldest first and
	// at most limit of them, and tells how many.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// Service is what may be done with gateways. Safe for concurrent use.
type Service struct {
	store Store
	// turns bounds how many receipts read the roll at the same time, or a bulk of
	// them would take the whole pool.
	turns chan struct{}
	now   clock.Clock
}

// New returns the service. now measures how long receipts took; every moment
// that something is decided by is the database's.
func New(store Store, now func() time.Time) *Service {
	return &Service{store: store, turns: make(chan struct{}, 4), now: now}
}

// Seen notes what a gateway says of itself: that it opened a stream, or a
// heartbeat. It needs edge:connect.
func (s *Service) Seen(ctx context.Context, caller access.Caller, g Gateway) error {
	if err := caller.Require(access.EdgeConnect); err != nil {
		return err
	}
	return s.store.Seen(ctx, g)
}

// Leave forgets a gateway that said that it ends. It needs edge:connect.
func (s *Service) Leave(ctx context.Context, caller access.Caller, instance uuid.UUID) error {
	if err := caller.Require(access.EdgeConnect); err != nil {
		return err
	}
	return s.store.Remove(ctx, instance, time.Time{})
}

// List returns the gateways that might admit somebody. It needs gateways:read.
func (s *Service) List(ctx context.Context, caller access.Caller) ([]Gateway, error) {
	if err := caller.Require(access.GatewaysRead); err != nil {
		return nil, err
	}
	roll, err := s.store.Roll(ctx)
	return roll.present(), err
}

// ByID returns one of List. It needs gateways:read.
func (s *Service) ByID(ctx context.Context, caller access.Caller, gateway id.Gateway) (Gateway, error) {
	if err := caller.Require(access.GatewaysRead); err != nil {
		return Gateway{}, err
	}
	g, _, err := s.find(ctx, gateway)
	return g, err
}

func (s *Service) find(ctx context.Context, gateway id.Gateway) (Gateway, Roll, error) {
	roll, err := s.store.Roll(ctx)
	if err != nil {
		return Gateway{}, roll, err
	}
	for _, g := range roll.present() {
		if g.ID() == gateway {
			return g, roll, nil
		}
	}
	return Gateway{}, roll, fault.New(fault.NotFound, "there is no such gateway, or it refuses everybody by now and is forgotten")
}

// alive is the silence after which a gateway may be given up.
const alive = 3 * wire.HeartbeatInterval

// Remove forgets a gateway that is known not to come back, so that receipts wait
// for it no longer. One that is heard is a Conflict: it would be back at once.
// It needs settings:write, for whoever removes one that does live vouches for it.
func (s *Service) Remove(ctx context.Context, caller access.Caller, gateway id.Gateway) error {
	if err := caller.Require(access.SettingsWrite); err != nil {
		return err
	}
	g, roll, err := s.find(ctx, gateway)
	if err != nil {
		return err
	}
	if roll.Now.Sub(g.LastSeenAt) >= alive {
		removed, err := s.store.Strike(ctx, g.Instance, g.LastSeenAt, journal.Entry{
			Caller: caller, At: s.now.Moment(), Action: "gateway.remove",
			Target: journal.Target{Kind: "gateway", ID: gateway.String(), Name: g.Name},
			Before: map[string]any{"version": g.Version, "address": g.Address, "last_seen_at": g.LastSeenAt.UTC(), "refuses_by": g.RefusesBy().UTC()},
		})
		if err != nil || removed {
			return err
		}
	}
	return fault.New(fault.Conflict, "this gateway is alive: it was heard within the last %d seconds", int(alive.Seconds())).
		WithFix("end its process; it leaves by itself then")
}

// present are the gateways that might still admit somebody.
func (r *Roll) present() []Gateway {
	all := []Gateway{}
	for _, g := range r.Gateways {
		if g.RefusesBy().After(r.Now) {
			all = append(all, g)
		}
	}
	return all
}
