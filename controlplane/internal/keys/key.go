// Package keys owns the credentials: issuing, changing and revoking them.
//
// Invariants: a secret is returned once and never stored, only its keyed
// digest; a key's kind never changes; a revoked key keeps its first stamp;
// nobody grants a management scope that they do not hold. Called by the admin
// API and the command line; the postgres adapter is its Store, records its
// Digester.
package keys

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Key is a credential as it is kept: everything but its secret.
type Key struct {
	ID             id.Key             `json:"id"`
	Kind           apikey.Kind        `json:"kind"`
	Environment    apikey.Environment `json:"environment"` // of API keys
	OwnerID        id.User            `json:"owner_id"`
	SubscriptionID id.Subscription    `json:"subscription_id"` // none: judged without a plan
	Name           string             `json:"name"`
	Start          string             `json:"start"` // the prefix and four characters, for people
	Last4          string             `json:"last4"`
	Scopes         []string           `json:"scopes"`
	Tags           []string           `json:"tags"`
	Metadata       json.RawMessage    `json:"metadata"`

	AllowCIDRs   []netip.Prefix `json:"allow_cidrs"`
	DenyCIDRs    []netip.Prefix `json:"deny_cidrs"`
	AllowMethods []string       `json:"allow_methods"`
	AllowPaths   []string       `json:"allow_paths"`

	NotBefore    *time.Time `json:"not_before"`
	ExpiresAt    *time.Time `json:"expires_at"`
	DisabledAt   *time.Time `json:"disabled_at"`
	RevokedAt    *time.Time `json:"revoked_at"`
	RevokeReason Reason     `json:"revoke_reason,omitempty"`

	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`
	Version   int64     `json:"-"`
}

// Status is what a key is at a moment, the first that fits.
type Status string

// The states of a key.
const (
	StatusRevoked     Status = "revoked"
	StatusDisabled    Status = "disabled"
	StatusExpired     Status = "expired"
	StatusNotYetValid Status = "not_yet_valid"
	StatusActive      Status = "active"
)

// Status computes the state at a moment. It says nothing of the key's owner or
// subscription.
func (k *Key) Status(now time.Time) Status {
	switch {
	case k.RevokedAt != nil:
		return StatusRevoked
	case k.DisabledAt != nil:
		return StatusDisabled
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return StatusExpired
	case k.NotBefore != nil && now.Before(*k.NotBefore):
		return StatusNotYetValid
	}
	return StatusActive
}

// Reason says why a key was revoked, in the words of RFC 5280, section 5.3.1.
type Reason string

// The reasons.
const (
	Unspecified          Reason = "unspecified"
	KeyCompromise        Reason = "key_compromise"
	AffiliationChanged   Reason = "affiliation_changed"
	Superseded           Reason = "superseded"
	CessationOfOperation Reason = "cessation_of_operation"
	PrivilegeWithdrawn   Reason = "privilege_withdrawn"
)

// Reasons lists the reasons.
var Reasons = []Reason{Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn}

// Digest is what is stored of a secret: HMAC-SHA-256 of its fingerprint under
// the pepper that PepperID names.
type Digest struct {
	Sum      []byte
	PepperID string
}

// Digester makes digests under the pepper that is current.
type Digester interface {
	Digest(f apikey.Fingerprint) Digest
}

// Filter narrows a list.
type Filter struct {
	Kind    *apikey.Kind
	OwnerID id.User
	Plan    string // a plan's slug
	After   id.Key
	Limit   int
}

// Insertion is a key to be written, with the subscription that is made for it.
type Insertion struct {
	Key          Key
	Digest       Digest
	Subscription *subscriptions.Subscription
	Entries      []journal.Entry
	// OnlyInSetup: the key may be written only while the set-up window is open.
	OnlyInSetup bool
}

// Store keeps keys, under the same contract as users.Store.
type Store interface {
	// Insert writes everything in the insertion or nothing. A management key
	// closes the set-up window; where it may be written only in that window and
	// the window is closed, the answer is a Conflict.
	Insert(ctx context.Context, in Insertion) error
	Update(ctx context.Context, key id.Key, change func(*Key) (*journal.Entry, error)) (Key, error)
	ByID(ctx context.Context, key id.Key) (Key, error)
	List(ctx context.Context, f Filter) ([]Key, error)
}

// Owners finds users.
type Owners interface {
	ByID(ctx context.Context, user id.User) (users.User, error)
}

// Plans finds plans.
type Plans interface {
	ByID(ctx context.Context, plan id.Plan) (plans.Plan, error)
	BySlug(ctx context.Context, slug string) (plans.Plan, error)
}

// Subscriptions finds subscriptions.
type Subscriptions interface {
	ByID(ctx context.Context, sub id.Subscription) (subscriptions.Subscription, error)
	List(ctx context.Context, f subscriptions.Filter) ([]subscriptions.Subscription, error)
}
