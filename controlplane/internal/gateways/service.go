package gateways

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/controlplane/internal/access"
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
	now   func() time.Time
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
