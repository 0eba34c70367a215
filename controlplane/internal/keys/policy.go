package keys

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Policy is what an installation may decide about its keys.
type Policy struct {
	RestoreWindowDays    int // how long a revocation can be undone; 0: never
	DeletedRetentionDays int // how long what is known of a deleted key is kept
	MaxLifetimeDays      int // the longest that a key issued under no plan lives; 0: no bound
	RotationOverlapHours int // how long an old secret stays good where nobody says
}

// Usual is the policy of whoever decides nothing.
var Usual = Policy{RestoreWindowDays: 7, DeletedRetentionDays: 30, RotationOverlapHours: 24}

// Policies returns the policy of this moment. An error is Unavailable: what goes
// by the policy is not done then.
type Policies func(ctx context.Context) (Policy, error)

// usual is the Policies of a Service that was given none.
func usual(context.Context) (Policy, error) { return Usual, nil }

const day = 24 * time.Hour

// restorable reports whether a revocation at a moment can be undone now.
func (p Policy) restorable(revoked, now time.Time) bool {
	return now.Sub(revoked) < time.Duration(p.RestoreWindowDays)*day
}

// overlap is what was asked for, or the policy's.
func (p Policy) overlap(hours *int) int {
	if hours == nil {
		return p.RotationOverlapHours
	}
	return *hours
}

// lastDay is when a key that is issued at a moment, under a plan or under none,
// must have expired; nil where neither plan nor policy says.
func (p Policy) lastDay(plan plans.Plan, issued time.Time) *time.Time {
	days := plan.KeyMaxLifetimeDays
	if plan.ID.IsZero() && p.MaxLifetimeDays > 0 {
		days = &p.MaxLifetimeDays
	}
	if days == nil {
		return nil
	}
	last := issued.AddDate(0, 0, *days)
	return &last
}

// withinLifetime reports whether a key dies in time. Management keys may live for
// ever.
func (p Policy) withinLifetime(k *Key, plan plans.Plan) error {
	last := p.lastDay(plan, k.CreatedAt)
	if k.Kind != apikey.KindAPI || last == nil || k.ExpiresAt != nil && !k.ExpiresAt.After(*last) {
		return nil
	}
	if plan.ID.IsZero() {
		return invalid("body.expires_at", "a key under no plan lives at most %d days", p.MaxLifetimeDays)
	}
	return invalid("body.expires_at", "a key under the plan %s lives at most %d days", plan.Slug, *plan.KeyMaxLifetimeDays)
}
