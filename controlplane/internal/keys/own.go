package keys

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Whoever is signed in may look at the API keys that it owns, renew them and give
// them up, whatever its role: none of it makes its access larger. What would, such
// as issuing or restoring, needs keys:write.

// owner returns the user that a caller is.
func owner(caller access.Caller) (id.User, error) {
	if caller.Actor.Kind == access.ActorUser {
		if user, err := id.Parse[id.UserKind](caller.Actor.ID); err == nil {
			return user, nil
		}
	}
	return id.User{}, fault.New(fault.Forbidden, "this is for a signed-in user").WithFix("sign in: POST /auth/v1/login/local")
}

// Owned returns a page of the caller's own API keys.
func (s *Service) Owned(ctx context.Context, caller access.Caller, f Filter) ([]Key, error) {
	user, err := owner(caller)
	if err != nil {
		return nil, err
	}
	kind := apikey.KindAPI
	f.OwnerID, f.Kind = user, &kind
	some, err := s.resolve(ctx, &f)
	if err != nil || !some {
		return nil, err
	}
	return s.store.List(ctx, f)
}

// OwnedByID returns an API key of the caller's own. Another's is not there. A key
// never changes its owner or kind.
func (s *Service) OwnedByID(ctx context.Context, caller access.Caller, key id.Key) (Key, error) {
	user, err := owner(caller)
	if err != nil {
		return Key{}, err
	}
	k, err := s.store.ByID(ctx, key)
	if err == nil && (k.OwnerID != user || k.Kind != apikey.KindAPI) {
		return Key{}, fault.New(fault.NotFound, "there is no such thing, or none that this credential may see")
	}
	return k, err
}

// RotateOwned is Rotate of an API key of the caller's own.
func (s *Service) RotateOwned(ctx context.Context, caller access.Caller, key id.Key, overlapHours *int) (Issued, error) {
	if _, err := s.OwnedByID(ctx, caller, key); err != nil {
		return Issued{}, err
	}
	overlap, err := s.overlap(ctx, overlapHours)
	if err != nil {
		return Issued{}, err
	}
	return s.rotate(ctx, caller, key, func(*Key) (int, error) { return overlap, nil })
}

// RevokeOwned is RevokeSelf of an API key of the caller's own.
func (s *Service) RevokeOwned(ctx context.Context, caller access.Caller, key id.Key, r Revocation) (Key, error) {
	if _, err := s.OwnedByID(ctx, caller, key); err != nil {
		return Key{}, err
	}
	return s.revokeOwn(ctx, caller, key, r)
}
