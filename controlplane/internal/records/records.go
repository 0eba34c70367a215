// Package records composes what is needed to judge a key, an apikey.Record,
// from the key, its owner, its subscription and its plan. It owns the rule of
// composition and the peppers under which keys are found, and is the
// validator's Source in the control plane.
//
//	fingerprint ──peppers──► digests ──Rows──► Row ──Compose──► apikey.Record
//
// Invariants: a record and the change number on it are of one moment; effective
// scopes are what both the key and its plan grant; nothing in a record can be
// compared with a key.
package records

import (
	"context"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/validator"
)

// Row is what is read of a key and of what it hangs on, in one statement.
type Row struct {
	KeyID        id.Key
	Kind         apikey.Kind
	Environment  apikey.Environment
	Name         string
	Scopes       []string
	Metadata     string
	AllowCIDRs   []netip.Prefix
	DenyCIDRs    []netip.Prefix
	AllowMethods []string
	AllowPaths   []string
	NotBefore    *time.Time
	ExpiresAt    *time.Time
	DisabledAt   *time.Time
	RevokedAt    *time.Time
	RetiresAt    *time.Time
	RotateBy     *time.Time
	PepperID     string

	RotateOverlapHours int

	UserID         id.User
	UserName       string
	UserExternalID string
	UserDisabledAt *time.Time

	Plan *PlanRow // nil: judged without a plan
}

// PlanRow is the subscription that a key is under, with its plan.
type PlanRow struct {
	SubscriptionID id.Subscription
	Status         apikey.SubscriptionStatus
	TrialEndsAt    *time.Time
	PeriodEnd      *time.Time
	PlanID         id.Plan
	Slug           string
	Scopes         []string
}

// Rows reads keys by their digests.
type Rows interface {
	// ByDigest returns the row whose digest is one of those given, nil where
	// there is none, with the head of the change log at the same moment. It
	// reads the primary.
	ByDigest(ctx context.Context, digests [][]byte) (*Row, journal.Head, error)
	// Redigest moves a key to another digest, if it still has the old pepper.
	Redigest(ctx context.Context, key id.Key, oldPepper string, to keys.Digest) error
}

// Source answers the validator from the database. Safe for concurrent use.
type Source struct {
	rows    Rows
	peppers *Peppers
}

// NewSource returns the source over rows and peppers.
func NewSource(rows Rows, peppers *Peppers) *Source { return &Source{rows: rows, peppers: peppers} }

// Lookup finds the record of a fingerprint under any of the peppers. A key that
// is still under an older pepper is moved to the current one on the way; that
// this fails harms nothing, for the next look-up tries again.
func (s *Source) Lookup(ctx context.Context, f apikey.Fingerprint) (validator.Answer, error) {
	row, head, err := s.rows.ByDigest(ctx, s.peppers.Digests(f))
	if err != nil {
		return validator.Answer{}, err
	}
	if row == nil {
		return validator.Answer{Epoch: head.Epoch, Record: apikey.Record{Change: head.Number}}, nil
	}
	if s.peppers.Outdated(row.PepperID) {
		_ = s.rows.Redigest(ctx, row.KeyID, row.PepperID, s.peppers.Digest(f))
	}
	return validator.Answer{Found: true, Epoch: head.Epoch, Record: Compose(row, head.Number)}, nil
}

// Compose makes the record of a row as of a change number.
func Compose(r *Row, change int64) apikey.Record {
	rec := apikey.Record{
		Change: change,
		Key: apikey.Key{
			ID: r.KeyID.String(), Name: r.Name, Kind: r.Kind, Environment: r.Environment, Metadata: r.Metadata,
			AllowCIDRs: apikey.NewCIDRs(r.AllowCIDRs...), DenyCIDRs: apikey.NewCIDRs(r.DenyCIDRs...),
			AllowMethods: apikey.NewStrings(r.AllowMethods...), AllowPaths: apikey.NewStrings(r.AllowPaths...),
			NotBefore: apikey.InstantOfPtr(r.NotBefore),
			ExpiresAt: apikey.InstantOfPtr(keys.EndsAt(r.ExpiresAt, r.RotateBy, r.RotateOverlapHours)),
			RetiresAt: apikey.InstantOfPtr(r.RetiresAt), RotateBy: apikey.InstantOfPtr(r.RotateBy),
			RevokedAt: apikey.InstantOfPtr(r.RevokedAt), Disabled: r.DisabledAt != nil,
		},
		User: apikey.User{
			ID: r.UserID.String(), Name: r.UserName, ExternalID: r.UserExternalID, Disabled: r.UserDisabledAt != nil,
		},
	}
	scopes, depends := r.Scopes, []string{r.KeyID.String(), r.UserID.String()}
	if p := r.Plan; p != nil {
		scopes = apikey.Intersect(r.Scopes, p.Scopes)
		depends = append(depends, p.SubscriptionID.String(), p.PlanID.String())
		rec.Subscription = apikey.Subscription{
			ID: p.SubscriptionID.String(), PlanID: p.PlanID.String(), Plan: p.Slug, Status: p.Status,
			TrialEndsAt: apikey.InstantOfPtr(p.TrialEndsAt), PeriodEnd: apikey.InstantOfPtr(p.PeriodEnd),
		}
	}
	rec.Key.Scopes, rec.DependsOn = apikey.NewStrings(scopes...), apikey.NewStrings(depends...)
	return rec
}
