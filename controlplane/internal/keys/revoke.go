package keys

import (
	"context"
	"slices"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
)

// Revocation says why a key is revoked, and whether it alone.
type Revocation struct {
	Reason Reason // Unspecified where empty
	Only   bool   // spare what the key was rotated into
}

func (r *Revocation) check() error {
	if r.Reason == "" {
		r.Reason = Unspecified
	}
	if !slices.Contains(Reasons, r.Reason) {
		return invalid("body.reason", "one of %v", Reasons)
	}
	return nil
}

// edit returns the change that a revocation makes; the first stamp stays.
func (r Revocation) edit(now time.Time) func(*Key) error {
	return func(k *Key) error {
		if k.RevokedAt == nil {
			at := now
			k.RevokedAt, k.RevokeReason = &at, r.Reason
		}
		return nil
	}
}

// Revoke ends a key, and with it what it was rotated into, at once and
// everywhere. Revoking again changes nothing: the first stamp stays. It needs
// keys:write.
func (s *Service) Revoke(ctx context.Context, caller access.Caller, key id.Key, reason Reason) (Key, error) {
	return s.RevokeBy(ctx, caller, key, Revocation{Reason: reason})
}

// RevokeBy is Revoke as the revocation says.
func (s *Service) RevokeBy(ctx context.Context, caller access.Caller, key id.Key, r Revocation) (Key, error) {
	if err := r.check(); err != nil {
		return Key{}, err
	}
	return s.changeSelected(ctx, caller, Selection{IDs: []id.Key{key}, Successors: !r.Only}, "key.revoke", r.edit(s.now.Moment()))
}

// RevokeByStart revokes the one key whose secret begins with start and, where
// last4 is not empty, ends with last4. NotFound where there is none, Conflict
// AMBIGUOUS_START where there are several that are not revoked. It needs
// keys:write.
func (s *Service) RevokeByStart(ctx context.Context, caller access.Caller, start, last4 string, r Revocation) (Key, error) {
	if err := caller.Require(access.KeysWrite); err != nil {
		return Key{}, err
	}
	found, err := s.store.ByStart(ctx, start, last4)
	if err != nil {
		return Key{}, err
	}
	switch {
	case len(found) == 0:
		return Key{}, fault.New(fault.NotFound, "there is no key with this start")
	case len(found) > 1 && found[1].RevokedAt == nil:
		return Key{}, fault.New(fault.Conflict, "several keys start like this").WithCode(CodeAmbiguous).
			WithFix("add ?last4= with the last four characters of the key, or revoke by id")
	}
	return s.RevokeBy(ctx, caller, found[0].ID, r)
}

// Restore undoes a revocation, that of the key's successors at the same moment
// included, as long as the policy says and unless the key was compromised. It
// needs keys:write, room under max_keys, and that no other live key of the owner
// has the label by now.
func (s *Service) Restore(ctx context.Context, caller access.Caller, key id.Key) (Key, error) {
	if err := caller.Require(access.KeysWrite); err != nil {
		return Key{}, err
	}
	policy, err := s.policies(ctx)
	if err != nil {
		return Key{}, err
	}
	return s.asRead(ctx, key, func(read *Key) (Key, error) {
		now := s.now.Moment()
		sel := Selection{IDs: []id.Key{key}, Successors: true, At: now}
		if _, err := s.bounds(ctx, read, &sel, read.RevokedAt != nil); err != nil {
			return Key{}, err
		}
		return s.changeSelected(ctx, caller, sel, "key.restore", func(k *Key) error {
			switch together := same(k.RevokedAt, read.RevokedAt); {
			case k.ID == key && !together:
				return errOtherwise
			case !together: // a successor that was revoked by itself
				return nil
			}
			return policy.restore(k, now)
		})
	})
}

func same(a, b *time.Time) bool { return a == nil && b == nil || a != nil && b != nil && a.Equal(*b) }

// restore undoes a revocation, if there is one and it can be undone.
func (p Policy) restore(k *Key, now time.Time) error {
	switch {
	case k.RevokedAt == nil:
		return nil
	case k.RevokeReason == KeyCompromise:
		return fault.New(fault.Conflict, "this key was revoked because it was compromised, which is for good").WithFix("issue a new key")
	case !p.restorable(*k.RevokedAt, now):
		return fault.New(fault.Conflict, "this key was revoked too long ago: a revocation can be undone for %d days", p.RestoreWindowDays).
			WithFix("issue a new key")
	}
	k.RevokedAt, k.RevokeReason = nil, ""
	return nil
}

// Delete revokes a key, it alone, and takes it out of every list. It is gone
// for good after the time that the policy says. It needs keys:write.
func (s *Service) Delete(ctx context.Context, caller access.Caller, key id.Key) error {
	now := s.now.Moment()
	_, err := s.change(ctx, caller, key, "key.delete", func(k *Key) error {
		k.DeletedAt = &now
		return Revocation{Reason: Unspecified}.edit(now)(k)
	})
	return err
}
