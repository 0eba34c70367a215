package keys

import "time"

// Status is what a key is at a moment, the first that fits.
type Status string

// The states of a key.
const (
	StatusRevoked     Status = "revoked"
	StatusRetired     Status = "retired" // rotated, and its overlap is over
	StatusDisabled    Status = "disabled"
	StatusExpired     Status = "expired"
	StatusNotYetValid Status = "not_yet_valid"
	StatusRetiring    Status = "retiring" // rotated, and still good
	StatusActive      Status = "active"
	// StatusDeleted is of keys that nobody is shown any more.
	StatusDeleted Status = "deleted"
)

// Statuses are those that a key which is shown can have.
var Statuses = []Status{
	StatusActive, StatusRetiring, StatusNotYetValid, StatusExpired, StatusDisabled, StatusRetired, StatusRevoked,
}

// Status computes the state at a moment. It says nothing of the key's owner or
// subscription.
func (k *Key) Status(now time.Time) Status {
	switch {
	case k.DeletedAt != nil:
		return StatusDeleted
	case k.RevokedAt != nil:
		return StatusRevoked
	case passed(k.RetiresAt, now):
		return StatusRetired
	case k.DisabledAt != nil:
		return StatusDisabled
	case passed(k.EndsAt(), now):
		return StatusExpired
	case k.begins(now):
		return StatusNotYetValid
	case k.RetiresAt != nil:
		return StatusRetiring
	}
	return StatusActive
}

// StatusUntil returns the moment up to which what Status computes now holds if
// nobody changes the key; nil: for good. It may be too early, never too late.
func (k *Key) StatusUntil(now time.Time) (until *time.Time) {
	if k.DeletedAt != nil || k.RevokedAt != nil {
		return nil
	}
	for _, at := range []*time.Time{k.RetiresAt, k.EndsAt(), k.NotBefore} {
		if at != nil && at.After(now) && (until == nil || at.Before(*until)) {
			until = at
		}
	}
	return until
}

// EndsAt returns the first moment at which the key is not good any more by its
// own dates, nil for none: its expiry, or the end of the grace after a rotation
// that is due and was not made.
func (k *Key) EndsAt() *time.Time { return EndsAt(k.ExpiresAt, k.RotateBy, k.RotateOverlapHours) }

// EndsAt is Key.EndsAt of a key with these dates.
func EndsAt(expires, rotateBy *time.Time, overlapHours int) *time.Time {
	if rotateBy == nil {
		return expires
	}
	lapses := rotateBy.Add(time.Duration(overlapHours) * time.Hour)
	if expires != nil && expires.Before(lapses) {
		return expires
	}
	return &lapses
}

func passed(at *time.Time, now time.Time) bool { return at != nil && !now.Before(*at) }

// live reports whether the key counts against max_keys: it is good, or may be
// without a change of its dates, and was not rotated.
func (k *Key) live(now time.Time) bool {
	switch k.Status(now) {
	case StatusActive, StatusNotYetValid, StatusDisabled:
		return k.RetiresAt == nil && !passed(k.EndsAt(), now)
	}
	return false
}
