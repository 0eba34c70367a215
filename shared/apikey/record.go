package apikey

import (
	"encoding/json"
	"fmt"
	"time"
)

// Instant is a moment in microseconds since the Unix epoch; zero is "none".
// Microseconds are what PostgreSQL keeps.
type Instant int64

// InstantOf returns the moment of t, or none where t is zero. The Unix epoch
// itself, which would be none, counts as the microsecond after it: a key that
// expired then must not become one that never does.
func InstantOf(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	if micro := t.UnixMicro(); micro != 0 {
		return Instant(micro)
	}
	return 1
}

// InstantOfPtr returns the moment that t points to, or none where it is nil.
func InstantOfPtr(t *time.Time) Instant {
	if t == nil {
		return 0
	}
	return InstantOf(*t)
}

// Time returns the moment in UTC, or the zero time where there is none.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(i)).UTC()
}

// passed reports whether the moment is set and not after now.
func (i Instant) passed(now Instant) bool { return i != 0 && i <= now }

// MarshalJSON writes RFC 3339 in UTC, or null.
func (i Instant) MarshalJSON() ([]byte, error) {
	if i == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(i.Time())
}

// UnmarshalJSON reads RFC 3339, or null.
func (i *Instant) UnmarshalJSON(b []byte) error {
	var t *time.Time
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	*i = InstantOfPtr(t)
	return nil
}

// Record is everything that is needed to judge a key, composed once by the
// control plane from the key, its owner, its subscription and its plan. It
// holds no secret and nothing that a key could be compared with.
//
// A Record is immutable. One that was decoded is a view of the bytes that it
// was decoded from.
type Record struct {
	// Change is the change number that the record reflects: every change up to
	// it is in, none after it is known to be.
	Change int64 `json:"change"`
	// DependsOn names the ids whose later change makes the record stale.
	DependsOn Strings `json:"depends_on"`
	// Needs names checks beyond those of this version. A judge that does not
	// know one of them cannot decide.
	Needs Strings `json:"needs"`

	Key          Key          `json:"key"`
	User         User         `json:"user"`
	Subscription Subscription `json:"subscription"`
}

// Key is what a record tells of the key itself.
type Key struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Kind        Kind        `json:"kind"`
	Environment Environment `json:"environment"`
	// Scopes are the effective ones: what the key carries, within its plan.
	Scopes Strings `json:"scopes"`
	// Metadata is a JSON object as its owner wrote it, or empty.
	Metadata string `json:"metadata"`

	AllowCIDRs   CIDRs   `json:"allow_cidrs"`   // empty: from anywhere
	DenyCIDRs    CIDRs   `json:"deny_cidrs"`    // wins over AllowCIDRs
	AllowMethods Strings `json:"allow_methods"` // empty: any
	AllowPaths   Strings `json:"allow_paths"`   // empty: any; see PathMatches

	NotBefore Instant `json:"not_before"` // the first moment at which it is good
	ExpiresAt Instant `json:"expires_at"` // the first moment at which it is not
	RetiresAt Instant `json:"retires_at"` // the end of a rotated key's overlap
	RotateBy  Instant `json:"rotate_by"`  // when its holder should have rotated it; judged by ExpiresAt alone
	RevokedAt Instant `json:"revoked_at"`
	Disabled  bool    `json:"disabled"`
}

// EndsAt returns the first moment at which the key is not good any more by its
// own dates: its expiry or the end of its overlap, whichever comes first.
func (k *Key) EndsAt() Instant {
	if k.ExpiresAt == 0 || k.RetiresAt != 0 && k.RetiresAt < k.ExpiresAt {
		return k.RetiresAt
	}
	return k.ExpiresAt
}

// User is what a record tells of the key's owner.
type User struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	ExternalID string `json:"external_id"`
	Disabled   bool   `json:"disabled"`
}

// RotateByHeader is the response header that tells the holder of a key that is to
// be rotated regularly by when, in RFC 3339. Answers to other keys lack it.
const RotateByHeader = "Latchkey-Rotate-By"

// Subscription is what a record tells of the plan that a key is under. Its
// zero value means that the key is judged without a plan.
type Subscription struct {
	ID          string             `json:"id"`
	PlanID      string             `json:"plan_id"`
	Plan        string             `json:"plan"` // the plan's slug
	Status      SubscriptionStatus `json:"status"`
	TrialEndsAt Instant            `json:"trial_ends_at"`
	PeriodEnd   Instant            `json:"period_end"`
}

// SubscriptionStatus is the state that a subscription was put into. What it
// means now also depends on the clock: see Subscription.Standing.
type SubscriptionStatus uint8

// The states of a subscription.
const (
	Active   SubscriptionStatus = iota
	Trialing                    // until TrialEndsAt
	Paused
	Canceled // good until PeriodEnd, then ended
	Ended
	subscriptionStatuses
)

var subscriptionStatusNames = [subscriptionStatuses]string{"active", "trialing", "paused", "canceled", "ended"}

func (s SubscriptionStatus) String() string {
	if s >= subscriptionStatuses {
		return "unknown"
	}
	return subscriptionStatusNames[s]
}

// ParseSubscriptionStatus reads what String writes.
func ParseSubscriptionStatus(name string) (SubscriptionStatus, bool) {
	for i, n := range subscriptionStatusNames {
		if n == name {
			return SubscriptionStatus(i), true
		}
	}
	return 0, false
}

// MarshalText writes the state's name.
func (s SubscriptionStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *SubscriptionStatus) UnmarshalText(b []byte) error {
	status, ok := ParseSubscriptionStatus(string(b))
	if !ok {
		return fmt.Errorf("unknown subscription status")
	}
	*s = status
	return nil
}

// MarshalText writes "live", "test" or nothing.
func (e Environment) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads "live", "test" or nothing.
func (e *Environment) UnmarshalText(b []byte) error {
	env, ok := ParseEnvironment(string(b))
	if !ok && len(b) > 0 {
		return fmt.Errorf("unknown environment")
	}
	*e = env
	return nil
}

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads "api" or "management", the kinds that a record can have.
func (k *Kind) UnmarshalText(b []byte) error {
	switch string(b) {
	case "api":
		*k = KindAPI
	case "management":
		*k = KindManagement
	default:
		return fmt.Errorf("unknown kind of key")
	}
	return nil
}
