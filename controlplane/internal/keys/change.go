package keys

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Patch is a change of some of a key's settings.
type Patch struct {
	Name                     field.Change[string]
	Scopes, Tags             field.Change[[]string]
	Metadata                 field.Change[json.RawMessage]
	AllowCIDRs, DenyCIDRs    field.Change[[]netip.Prefix]
	AllowMethods, AllowPaths field.Change[[]string]
	LimitOverrides           field.Change[map[string]int64]
	NotBefore, ExpiresAt     field.Change[*time.Time]
	// RotateEveryDays counts from the change on, or from where the key begins; 0
	// ends it.
	RotateEveryDays    field.Change[int]
	RotateOverlapHours field.Change[*int] // nil: the policy's
	Version            int64
}

// Update changes a key's settings. It needs keys:write, and for a management
// key every scope that the key holds, before and after; new scopes must be within
// the plan. A change that makes an expired key good again needs room under
// max_keys, and its label.
func (s *Service) Update(ctx context.Context, caller access.Caller, key id.Key, p Patch) (Key, error) {
	if err := caller.Require(access.KeysWrite); err != nil {
		return Key{}, err
	}
	policy, err := s.policies(ctx)
	if err != nil {
		return Key{}, err
	}
	u := update{Patch: p, policy: policy, ends: p.NotBefore.Present || p.ExpiresAt.Present || p.RotateEveryDays.Present || p.RotateOverlapHours.Present}
	if !u.ends && !p.Scopes.Present {
		u.now = s.now.Moment()
		return s.update(ctx, caller, u, Selection{IDs: []id.Key{key}})
	}
	return s.asRead(ctx, key, func(read *Key) (Key, error) {
		u.now = s.now.Moment()
		u.anew = u.revives(*read)
		sel := Selection{IDs: []id.Key{key}, At: u.now}
		if u.plan, err = s.bounds(ctx, read, &sel, u.anew); err != nil {
			return Key{}, err
		}
		return s.update(ctx, caller, u, sel)
	})
}

// update is a Patch with what it is held to.
type update struct {
	Patch
	policy Policy
	now    time.Time
	plan   plans.Plan
	ends   bool // whether it may change when the key ends
	anew   bool // whether the key, as it was read, comes to count by it
}

// revives reports whether a key that counts for nothing comes to count.
func (u update) revives(k Key) bool {
	was := k.live(u.now)
	u.apply(&k, u.now, u.policy)
	return u.ends && !was && k.live(u.now)
}

func (s *Service) update(ctx context.Context, caller access.Caller, p update, sel Selection) (Key, error) {
	return s.changeSelected(ctx, caller, sel, "key.update", func(k *Key) error {
		if err := fault.CheckVersion(p.Version, k.Version); err != nil {
			return err
		}
		if k.RevokedAt != nil {
			return fault.New(fault.Conflict, "this key is revoked")
		}
		if p.RotateEveryDays.Present && !k.RotatedTo.IsZero() {
			return fault.New(fault.Conflict, "this key was rotated already").WithFix("change its successor %s", k.RotatedTo)
		}
		if p.anew != p.revives(*k) {
			return errOtherwise
		}
		had := k.AllowPaths
		p.apply(k, p.now, p.policy)
		var f fault.Fields
		k.check(&f, had)
		if k.RotateEveryDays == 0 { // it counts for nothing then, and is wrong all the same
			checkOverlap(&f, p.policy.overlap(p.RotateOverlapHours.Value))
		}
		if err := f.Err(); err != nil {
			return err
		}
		if p.Scopes.Present {
			if err := granted(k, p.plan); err != nil {
				return err
			}
		}
		if p.ExpiresAt.Present {
			if err := p.policy.withinLifetime(k, p.plan); err != nil {
				return err
			}
		}
		return grantable(caller, k)
	})
}

// errOtherwise ends a change that was decided by what its key is not any more.
var errOtherwise = fault.New(fault.Conflict, "this key is changed by others at this moment").WithFix("try again in a moment")

// asRead makes a change that needs a decision before the key is locked, such as
// whether its owner must have room. Where somebody changes the key in between so
// that the change finds errOtherwise, both are done anew.
func (s *Service) asRead(ctx context.Context, key id.Key, change func(read *Key) (Key, error)) (Key, error) {
	for n := 1; ; n++ {
		read, err := s.store.ByID(ctx, key)
		if err != nil {
			return Key{}, err
		}
		changed, err := change(&read)
		if n == attempts || !errors.Is(err, errOtherwise) {
			return changed, err
		}
	}
}

// bounds returns the plan that a key is under and, where the key comes to count
// anew, adds the quota that must have room for it, and its label, which another
// key may have by now.
func (s *Service) bounds(ctx context.Context, k *Key, sel *Selection, anew bool) (plan plans.Plan, err error) {
	if anew {
		sel.Label = Label{OwnerID: k.OwnerID, Text: k.Label}
	}
	if k.Kind != apikey.KindAPI {
		return plan, nil
	}
	if !k.SubscriptionID.IsZero() {
		sub, err := s.facts.Subscriptions.ByID(ctx, k.SubscriptionID)
		if err != nil {
			return plan, err
		}
		if plan, err = s.facts.Plans.ByID(ctx, sub.PlanID); err != nil {
			return plan, err
		}
	}
	if !anew {
		return plan, nil
	}
	owner, err := s.facts.Owners.ByID(ctx, k.OwnerID)
	if err != nil {
		return plan, err
	}
	if q, bounded := quota(owner, plan); bounded {
		sel.Quotas = append(sel.Quotas, q)
	}
	return plan, nil
}

func (p Patch) apply(k *Key, now time.Time, policy Policy) {
	p.Name.Apply(&k.Name)
	p.Scopes.Apply(&k.Scopes)
	p.Tags.Apply(&k.Tags)
	p.Metadata.Apply(&k.Metadata)
	p.LimitOverrides.Apply(&k.LimitOverrides)
	p.AllowCIDRs.Apply(&k.AllowCIDRs)
	p.DenyCIDRs.Apply(&k.DenyCIDRs)
	p.AllowMethods.Apply(&k.AllowMethods)
	p.AllowPaths.Apply(&k.AllowPaths)
	began := !k.begins(now)
	p.NotBefore.Apply(&k.NotBefore)
	moved := p.NotBefore.Present && (!began || k.begins(now)) && k.RotateBy != nil
	p.ExpiresAt.Apply(&k.ExpiresAt)
	every, overlap := k.RotateEveryDays, k.RotateOverlapHours
	if every == 0 {
		overlap = policy.RotationOverlapHours
	}
	p.RotateEveryDays.Apply(&every)
	if p.RotateOverlapHours.Present {
		overlap = policy.overlap(p.RotateOverlapHours.Value)
	}
	if p.RotateEveryDays.Present || moved {
		k.setRotation(every, overlap, now)
	} else if k.RotateEveryDays > 0 {
		k.RotateOverlapHours = overlap
	}
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

// Disable stops a key until it is enabled. It needs keys:write.
func (s *Service) Disable(ctx context.Context, caller access.Caller, key id.Key) (Key, error) {
	return s.change(ctx, caller, key, "key.disable", s.disable)
}

// Enable lets a disabled key work again. It needs keys:write.
func (s *Service) Enable(ctx context.Context, caller access.Caller, key id.Key) (Key, error) {
	return s.change(ctx, caller, key, "key.enable", enable)
}

func (s *Service) disable(k *Key) error {
	if k.DisabledAt == nil { // the first stamp stays
		now := s.now.Moment()
		k.DisabledAt = &now
	}
	return nil
}

func enable(k *Key) error {
	k.DisabledAt = nil
	return nil
}

func (s *Service) change(ctx context.Context, caller access.Caller, key id.Key, action string, edit func(*Key) error) (Key, error) {
	return s.changeSelected(ctx, caller, Selection{IDs: []id.Key{key}}, action, edit)
}

// changeSelected edits keys under their locks and writes what came of it to the
// journal, or nothing where nothing came of it. It returns the first.
func (s *Service) changeSelected(ctx context.Context, caller access.Caller, sel Selection, action string, edit func(*Key) error) (Key, error) {
	if err := caller.Require(access.KeysWrite); err != nil {
		return Key{}, err
	}
	edited, err := s.store.Edit(ctx, sel, func(k *Key) (*journal.Entry, error) {
		if err := grantable(caller, k); err != nil {
			return nil, err
		}
		return s.edit(caller, k, action, edit)
	})
	if err != nil {
		return Key{}, err
	}
	return edited[0], nil
}

// edit edits one key and tells of it; nil where nothing changed.
func (s *Service) edit(caller access.Caller, k *Key, action string, edit func(*Key) error) (*journal.Entry, error) {
	before := *k
	if err := edit(k); err != nil {
		return nil, err
	}
	was, is := journal.Diff(before, k)
	if len(is) == 0 {
		return nil, nil
	}
	k.UpdatedAt = s.now.Moment()
	// Never a Refresh: whoever has enabled a key would see it refused once more.
	return &journal.Entry{
		Caller: caller, At: k.UpdatedAt, Action: action, Target: k.target(), Before: was, After: is,
		Touches: []string{k.ID.String()},
	}, nil
}
