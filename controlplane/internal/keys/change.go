package keys

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Patch is a change of some of a key's settings.
type Patch struct {
	Name                     field.Change[string]
	Scopes, Tags             field.Change[[]string]
	Metadata                 field.Change[json.RawMessage]
	AllowCIDRs, DenyCIDRs    field.Change[[]netip.Prefix]
	AllowMethods, AllowPaths field.Change[[]string]
	NotBefore, ExpiresAt     field.Change[*time.Time]
	Version                  int64
}

// Update changes a key's settings. It needs keys:write, and for a management
// key every scope that the key holds, before and after.
func (s *Service) Update(ctx context.Context, caller access.Caller, key id.Key, p Patch) (Key, error) {
	return s.change(ctx, caller, key, "key.update", func(k *Key) error {
		if err := fault.CheckVersion(p.Version, k.Version); err != nil {
			return err
		}
		if k.RevokedAt != nil {
			return fault.New(fault.Conflict, "this key is revoked, which is for good")
		}
		p.apply(k)
		var f fault.Fields
		k.check(&f)
		if err := f.Err(); err != nil {
			return err
		}
		return grantable(caller, k)
	})
}

func (p Patch) apply(k *Key) {
	p.Name.Apply(&k.Name)
	p.Scopes.Apply(&k.Scopes)
	p.Tags.Apply(&k.Tags)
	p.Metadata.Apply(&k.Metadata)
	p.AllowCIDRs.Apply(&k.AllowCIDRs)
	p.DenyCIDRs.Apply(&k.DenyCIDRs)
	p.AllowMethods.Apply(&k.AllowMethods)
	p.AllowPaths.Apply(&k.AllowPaths)
	p.NotBefore.Apply(&k.NotBefore)
	p.ExpiresAt.Apply(&k.ExpiresAt)
}

// grantable reports whether the key may carry its scopes: a management key only
// what the caller holds.
func grantable(caller access.Caller, k *Key) error {
	if k.Kind != apikey.KindManagement {
		return nil
	}
	var f fault.Fields
	f.Check(len(k.Scopes) > 0, "body.scopes", "a management key needs at least one of %s", access.ScopeNames())
	if err := f.Err(); err != nil {
		return err
	}
	return caller.MayGrant(k.Scopes)
}

// Revoke ends a key for good, at once, everywhere. Revoking again changes
// nothing: the first stamp stays. It needs keys:write.
func (s *Service) Revoke(ctx context.Context, caller access.Caller, key id.Key, reason Reason) (Key, error) {
	if reason == "" {
		reason = Unspecified
	}
	if !slices.Contains(Reasons, reason) {
		return Key{}, invalid("body.reason", "one of %v", Reasons)
	}
	return s.change(ctx, caller, key, "key.revoke", func(k *Key) error {
		if k.RevokedAt == nil {
			now := s.now().UTC().Truncate(time.Microsecond)
			k.RevokedAt, k.RevokeReason = &now, reason
		}
		return nil
	})
}

// Disable stops a key until it is enabled. It needs keys:write.
func (s *Service) Disable(ctx context.Context, caller access.Caller, key id.Key) (Key, error) {
	return s.change(ctx, caller, key, "key.disable", func(k *Key) error {
		if k.DisabledAt == nil {
			now := s.now().UTC().Truncate(time.Microsecond)
			k.DisabledAt = &now
		}
		return nil
	})
}

// Enable lets a disabled key work again. It needs keys:write.
func (s *Service) Enable(ctx context.Context, caller access.Caller, key id.Key) (Key, error) {
	return s.change(ctx, caller, key, "key.enable", func(k *Key) error {
		k.DisabledAt = nil
		return nil
	})
}

// change edits a key under its lock and writes what came of it to the journal,
// or nothing where nothing came of it.
func (s *Service) change(ctx context.Context, caller access.Caller, key id.Key, action string, edit func(*Key) error) (Key, error) {
	if err := caller.Require(access.KeysWrite); err != nil {
		return Key{}, err
	}
	return s.store.Update(ctx, key, func(k *Key) (*journal.Entry, error) {
		before := *k
		if err := grantable(caller, k); err != nil {
			return nil, err
		}
		if err := edit(k); err != nil {
			return nil, err
		}
		was, is := journal.Diff(before, k)
		if len(is) == 0 {
			return nil, nil
		}
		k.UpdatedAt = s.now().UTC()
		return &journal.Entry{
			Caller: caller, At: k.UpdatedAt, Action: action, Target: k.target(), Before: was, After: is,
			Touches: []string{k.ID.String()},
			Refresh: action == "key.enable",
		}, nil
	})
}

// ByID returns a key. It needs keys:read.
func (s *Service) ByID(ctx context.Context, caller access.Caller, key id.Key) (Key, error) {
	if err := caller.Require(access.KeysRead); err != nil {
		return Key{}, err
	}
	return s.store.ByID(ctx, key)
}

// List returns a page of keys, the newest first. It needs keys:read.
func (s *Service) List(ctx context.Context, caller access.Caller, f Filter) ([]Key, error) {
	if err := caller.Require(access.KeysRead); err != nil {
		return nil, err
	}
	return s.store.List(ctx, f)
}
