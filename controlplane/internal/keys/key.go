// Package keys owns the credentials: issuing, finding, changing, rotating,
// revoking and deleting them.
//
//	issue ──► active ──rotate──► retiring ──► retired        by the clock: not_yet_valid,
//	            │ ▲                 │                         expired, retired
//	    disable │ │ enable          │
//	            ▼ │                 ▼
//	         disabled ──revoke──► revoked ──► deleted ──► gone, when Policy says
//	                                 └ restore, while Policy allows it
//
// Invariants: a secret is returned once and never stored, only its keyed
// digest; a key's kind never changes; a revoked key keeps its first stamp;
// nobody grants a management scope that they do not hold; an owner never holds
// more live keys than allowed; a status is what the clock says, never what a
// job did. Called by the admin API and the command line; the postgres adapter
// is its Store, records its Digester.
package keys

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Key is a credential as it is kept: everything but its secret.
type Key struct {
	ID             id.Key             `json:"id"`
	Kind           apikey.Kind        `json:"kind"`
	Environment    apikey.Environment `json:"environment"` // of API keys
	OwnerID        id.User            `json:"owner_id"`
	SubscriptionID id.Subscription    `json:"subscription_id"` // none: judged without a plan
	PlanID         id.Plan            `json:"-"`               // for lists: the subscription's, once the key has followed it
	Name           string             `json:"name"`
	Label          string             `json:"label"` // one live key of an owner has it; "" where there is none
	Start          string             `json:"start"` // the prefix and four characters, for people
	Last4          string             `json:"last4"`
	Scopes         []string           `json:"scopes"`
	Tags           []string           `json:"tags"`
	Metadata       json.RawMessage    `json:"metadata"`

	AllowCIDRs   []netip.Prefix `json:"allow_cidrs"`
	DenyCIDRs    []netip.Prefix `json:"deny_cidrs"`
	AllowMethods []string       `json:"allow_methods"`
	AllowPaths   []string       `json:"allow_paths"`
	// LimitOverrides are amounts of the key's own, by the names of its plan's
	// limits. They are kept, and not enforced: see package limits.
	LimitOverrides map[string]int64 `json:"limit_overrides"`

	NotBefore    *time.Time `json:"not_before"`
	ExpiresAt    *time.Time `json:"expires_at"`
	DisabledAt   *time.Time `json:"disabled_at"`
	RevokedAt    *time.Time `json:"revoked_at"`
	RevokeReason Reason     `json:"revoke_reason,omitempty"`
	DeletedAt    *time.Time `json:"deleted_at"`

	RotatedFrom id.Key     `json:"rotated_from"`
	RotatedTo   id.Key     `json:"rotated_to"`
	RetiresAt   *time.Time `json:"retires_at"` // the end of the overlap, once rotated
	// RotateEveryDays says how often the holder must rotate the key; 0: never.
	// RotateBy is the next deadline, none once it was rotated. A key that is RotateOverlapHours past it
	// has expired; the overlap is also that of a rotation by the holder.
	RotateEveryDays    int        `json:"rotate_every_days"`
	RotateOverlapHours int        `json:"rotate_overlap_hours"`
	RotateBy           *time.Time `json:"rotate_by"`

	// LastUsedAt and LastUsedIP tell of the last use that was heard of; neither
	// where there was none. They are no settings: see Service.NoteUses.
	LastUsedAt *time.Time `json:"-"`
	LastUsedIP netip.Addr `json:"-"` // the zero value where it is not known

	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`
	Version   int64     `json:"-"`
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

// Digester makes digests: under the pepper that is current, to store, and under
// every pepper that keys may still be under, to find them.
type Digester interface {
	Digest(f apikey.Fingerprint) Digest
	Digests(f apikey.Fingerprint) [][]byte
}
