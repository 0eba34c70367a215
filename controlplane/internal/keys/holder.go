package keys

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// own returns the key that a caller holds. Whoever made the caller has judged
// the key (access.HolderOf).
func own(caller access.Caller) (id.Key, error) {
	if caller.Actor.Kind == access.ActorHolder {
		if key, err := id.Parse[id.KeyKind](caller.Actor.ID); err == nil {
			return key, nil
		}
	}
	return id.Key{}, fault.New(fault.Forbidden, "this is for the holder of an API key")
}

// Self returns the caller's own key.
func (s *Service) Self(ctx context.Context, caller access.Caller) (Key, error) {
	key, err := own(caller)
	if err != nil {
		return Key{}, err
	}
	return s.store.ByID(ctx, key)
}

// RotateSelf rotates the caller's own key with the overlap that the key has for
// that. Only a key that is to be rotated regularly may: for any other, whoever
// stole it could live on in its successor.
func (s *Service) RotateSelf(ctx context.Context, caller access.Caller) (Issued, error) {
	key, err := own(caller)
	if err != nil {
		return Issued{}, err
	}
	return s.rotate(ctx, caller, key, func(k *Key) (int, error) {
		if k.RotateEveryDays == 0 {
			return 0, fault.New(fault.Conflict, "this key does not rotate itself: rotate_every_days is not set").WithCode(CodeNoRotation).
				WithFix("ask the operator to set rotate_every_days, or to rotate the key")
		}
		return k.RotateOverlapHours, nil
	})
}

// RevokeSelf revokes the caller's own key, as for one that leaked.
func (s *Service) RevokeSelf(ctx context.Context, caller access.Caller, r Revocation) (Key, error) {
	key, err := own(caller)
	if err != nil {
		return Key{}, err
	}
	return s.revokeOwn(ctx, caller, key, r)
}

// revokeOwn revokes a key that is the caller's to give up.
func (s *Service) revokeOwn(ctx context.Context, caller access.Caller, key id.Key, r Revocation) (Key, error) {
	if err := r.check(); err != nil {
		return Key{}, err
	}
	edited, err := s.store.Edit(ctx, Selection{IDs: []id.Key{key}, Successors: !r.Only}, func(k *Key) (*journal.Entry, error) {
		return s.edit(caller, k, "key.revoke", r.edit(s.now.Moment()))
	})
	if err != nil {
		return Key{}, err
	}
	return edited[0], nil
}
