// Package limits owns the rules of how much may be spent: named amounts per
// window, which plans refer to and of which a key may have another amount.
//
//	limit ◄──limit_ids── plan ◄── subscription ◄── key ──limit_overrides──► amount, by the limit's name
//
// Invariant: a limit says exactly one thing, a rate over a window or a quota over
// a period, and a plan has no two of one name. This package keeps what is to be
// enforced; nothing enforces it yet, and every answer about a limit says so. No
// record has limits in it: a judge that does not charge them must not be told that
// it does. Called by plans and the admin API; the postgres adapter is its Store.
package limits

import (
	"context"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no time zones

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// Enforced says whether doors charge limits.
const Enforced = false

// Kind says how time is cut.
type Kind string

// The kinds.
const (
	Rate  Kind = "rate"  // a sliding window of seconds
	Quota Kind = "quota" // a period with a beginning and an end
)

// Period is the time of a quota.
type Period string

// The periods. Days and months are those of the calendar in the limit's time zone.
const (
	Day             Period = "day"
	Month           Period = "month"
	OfSubscription  Period = "subscription" // from its period_start to its period_end
	MaxWindow              = 3600           // seconds
	MaxAmount       int64  = 1_000_000_000_000
	MaxTimeZoneName        = 64 // bytes
)

// Subject is what is counted by itself.
type Subject string

// The subjects.
const (
	PerKey          Subject = "key"
	PerSubscription Subject = "subscription"
	PerUser         Subject = "user"
	PerClientIP     Subject = "client_ip"
)

// Mode says what becomes of a request beyond the amount.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce" // refused
	Soft    Mode = "soft"    // let in, and reported
	Shadow  Mode = "shadow"  // let in; only what would have been is reported
)

// Fallback says what becomes of a request that cannot be counted.
type Fallback string

// The fallbacks.
const (
	Allow Fallback = "allow"
	Deny  Fallback = "deny"
)

// Limit is a rule: Amount units per window or period, for each Subject.
type Limit struct {
	ID   id.Limit `json:"id"`
	Name string   `json:"name"` // never changed, for keys override by it; that of several limits, but of one in a plan
	Kind Kind     `json:"kind"` // never changed

	Amount        int64  `json:"amount"`
	WindowSeconds *int   `json:"window_seconds"` // of a rate
	Period        Period `json:"period"`         // of a quota
	TimeZone      string `json:"time_zone"`      // of a quota per day or month, an IANA name

	Subject       Subject  `json:"subject"`
	Mode          Mode     `json:"mode"`
	OnUnavailable Fallback `json:"on_unavailable"`

	ArchivedAt *time.Time `json:"archived_at"` // plans take it no more; those that have it keep it
	CreatedAt  time.Time  `json:"-"`
	UpdatedAt  time.Time  `json:"-"`
	Version    int64      `json:"-"`
}

// Filter narrows a list.
type Filter struct {
	IDs      []id.Limit // nil: any
	Name     string
	Kind     Kind
	Archived *bool
	After    id.Limit
	Limit    int
}

// Store keeps limits, under the same contract as users.Store. A limit is never
// removed.
type Store interface {
	Insert(ctx context.Context, l Limit, e journal.Entry) error
	Update(ctx context.Context, limit id.Limit, change func(*Limit) (*journal.Entry, error)) (Limit, error)
	ByID(ctx context.Context, limit id.Limit) (Limit, error)
	List(ctx context.Context, f Filter) ([]Limit, error)
}

func (l *Limit) target() journal.Target {
	return journal.Target{Kind: "limit", ID: l.ID.String(), Name: l.Name}
}

// check completes a limit with what it leaves open and notes every value that
// breaks a rule.
func (l *Limit) check() error {
	var f fault.Fields
	l.complete()
	field.Slug(&f, "body.name", l.Name)
	f.Check(l.Amount >= 1 && l.Amount <= MaxAmount, "body.amount", "1 to %d", MaxAmount)
	f.Check(l.Subject == PerKey || l.Subject == PerSubscription || l.Subject == PerUser || l.Subject == PerClientIP,
		"body.subject", "key, subscription, user or client_ip")
	f.Check(l.Mode == Enforce || l.Mode == Soft || l.Mode == Shadow, "body.mode", "enforce, soft or shadow")
	f.Check(l.OnUnavailable == Allow || l.OnUnavailable == Deny, "body.on_unavailable", "allow or deny")
	switch l.Kind {
	case Rate:
		f.Check(l.WindowSeconds != nil && *l.WindowSeconds >= 1 && *l.WindowSeconds <= MaxWindow, "body.window_seconds", "1 to %d", MaxWindow)
		f.Check(l.Period == "", "body.period", "of quotas; a rate has window_seconds")
		f.Check(l.TimeZone == "", "body.time_zone", "of quotas per day or month")
	case Quota:
		f.Check(l.WindowSeconds == nil, "body.window_seconds", "of rates; a quota has a period")
		f.Check(l.Period == Day || l.Period == Month || l.Period == OfSubscription, "body.period", "day, month or subscription")
		f.Check(l.TimeZone == "" || l.Period != OfSubscription, "body.time_zone", "of quotas per day or month")
		f.Check(l.TimeZone == "" || isTimeZone(l.TimeZone), "body.time_zone", "a name of the IANA time zone database, such as Europe/Madrid")
	default:
		f.Add("body.kind", "rate or quota")
	}
	return f.Err()
}

// complete fills in what a limit leaves open. What cannot be counted is let in
// by a rate, which protects, and refused by a quota, which is paid for.
func (l *Limit) complete() {
	if l.Subject == "" {
		l.Subject = PerKey
	}
	if l.Mode == "" {
		l.Mode = Enforce
	}
	if l.OnUnavailable == "" {
		l.OnUnavailable = Allow
		if l.Kind == Quota {
			l.OnUnavailable = Deny
		}
	}
	if l.Kind == Quota && l.TimeZone == "" && (l.Period == Day || l.Period == Month) {
		l.TimeZone = "UTC"
	}
}

// isTimeZone takes no name that stands for the server's own zone.
func isTimeZone(name string) bool {
	if name != "UTC" && !strings.Contains(name, "/") || len(name) > MaxTimeZoneName {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}
