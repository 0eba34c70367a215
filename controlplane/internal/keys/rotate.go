package keys

import (
	"context"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Rotate gives a key a successor with the same settings and a new secret. The
// old secret stays good for the overlap; nil is the policy's. It needs
// keys:write, and for a management key every scope that it holds. It never counts
// against max_keys.
func (s *Service) Rotate(ctx context.Context, caller access.Caller, key id.Key, overlapHours *int) (Issued, error) {
	if err := caller.Require(access.KeysWrite); err != nil {
		return Issued{}, err
	}
	overlap, err := s.overlap(ctx, overlapHours)
	if err != nil {
		return Issued{}, err
	}
	return s.rotate(ctx, caller, key, func(k *Key) (int, error) { return overlap, grantable(caller, k) })
}

// overlap is what a request asks for, checked, or the policy's.
func (s *Service) overlap(ctx context.Context, hours *int) (int, error) {
	if hours != nil && (*hours < 0 || *hours > MaxOverlapHours) {
		return 0, invalid("body.overlap_hours", "0 to %d", MaxOverlapHours)
	}
	policy, err := s.policies(ctx)
	return policy.overlap(hours), err
}

// rotate asks allow, under the key's lock, whether it may be rotated and with
// how many hours of overlap.
func (s *Service) rotate(ctx context.Context, caller access.Caller, key id.Key, allow func(*Key) (int, error)) (Issued, error) {
	now := s.now.Moment()
	var secret apikey.Secret
	successor, err := s.store.Rotate(ctx, key, func(k *Key) (Rotation, error) {
		overlap, err := allow(k)
		if err != nil {
			return Rotation{}, err
		}
		if err := k.rotatable(now); err != nil {
			return Rotation{}, err
		}
		before := *k
		next := k.successor(now)
		secret = apikey.NewSecret(s.prefix, next.Kind, next.Environment)
		next.Start, next.Last4 = secret.Start(), secret.Last4()
		retires := now.Add(time.Duration(overlap) * time.Hour)
		k.RotatedTo, k.RetiresAt, k.RotateBy, k.UpdatedAt = next.ID, &retires, nil, now
		was, is := journal.Diff(before, k)
		return Rotation{
			Successor: Sealed{Key: next, Digest: s.digest.Digest(secret.Fingerprint())},
			Entries: []journal.Entry{
				{
					Caller: caller, At: now, Action: "key.rotate", Target: k.target(), Before: was, After: is,
					Touches: []string{k.ID.String()}, Refresh: overlap > 0,
				},
				issueEntry(caller, &next),
			},
		}, nil
	})
	if err != nil {
		return Issued{}, err
	}
	return Issued{Key: successor, Secret: secret}, nil
}

// successor is the key with a new identity. What was the first expiry stays
// the expiry.
func (k *Key) successor(now time.Time) Key {
	next := *k
	next.ID, next.RotatedFrom, next.RotatedTo, next.RetiresAt = id.New[id.KeyKind](), k.ID, id.Key{}, nil
	next.LastUsedAt, next.LastUsedIP = nil, netip.Addr{}
	next.setRotation(k.RotateEveryDays, k.RotateOverlapHours, now)
	next.CreatedAt, next.UpdatedAt, next.Version = now, now, 1
	return next
}

// rotatable reports whether the key may have a successor: one that is good or
// will be, and has none.
func (k *Key) rotatable(now time.Time) error {
	if !k.RotatedTo.IsZero() {
		return fault.New(fault.Conflict, "this key was rotated already").WithCode(CodeNoRotation).WithFix("rotate its successor %s", k.RotatedTo)
	}
	switch status := k.Status(now); status {
	case StatusActive, StatusNotYetValid:
		return nil
	default:
		return fault.New(fault.Conflict, "this key is %s and cannot be rotated", status).WithCode(CodeNoRotation).
			WithFix("make it active first, or issue a new key")
	}
}
