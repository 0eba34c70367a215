package keys

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/limits"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Limits of a key's rules, for the OpenAPI document too.
const (
	MaxCIDRs      = 64
	MaxMethods    = 16
	MaxPaths      = 64
	MaxPath       = 256
	MaxExpireDays = 36500

	MaxLabel          = 64  // characters
	MaxRotateDays     = 365 // between rotations
	MaxOverlapHours   = 720 // 30 days
	MaxIdempotencyKey = 255 // bytes
)

// key builds the key that the request describes, checked.
func (in NewKey) key(now time.Time, policy Policy) (Key, error) {
	k := Key{
		ID: id.New[id.KeyKind](), Kind: in.Kind, Environment: in.Environment, OwnerID: in.OwnerID, Name: in.Name, Label: in.Label,
		Scopes: in.Scopes, Tags: in.Tags, Metadata: in.Metadata,
		AllowCIDRs: in.AllowCIDRs, DenyCIDRs: in.DenyCIDRs, AllowMethods: in.AllowMethods, AllowPaths: in.AllowPaths, LimitOverrides: in.LimitOverrides,
		NotBefore: in.NotBefore, ExpiresAt: in.ExpiresAt, CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if k.OwnerID.IsZero() {
		k.OwnerID = users.DefaultID
	}
	var f fault.Fields
	f.Check(utf8.RuneCountInString(in.Label) <= MaxLabel, "body.label", "at most %d characters", MaxLabel)
	field.Text(&f, "body.label", in.Label)
	f.Check(in.Label != "" || !in.Idempotent, "body.label", "needed with idempotent")
	k.setRotation(in.RotateEveryDays, policy.overlap(in.RotateOverlapHours), now)
	f.Check(in.ExpiresInDays == 0 || in.ExpiresAt == nil, "body.expires_in_days", "give either expires_at or expires_in_days")
	f.Check(in.ExpiresInDays >= 0 && in.ExpiresInDays <= MaxExpireDays, "body.expires_in_days", "1 to %d", MaxExpireDays)
	if in.ExpiresInDays > 0 {
		at := now.AddDate(0, 0, in.ExpiresInDays)
		k.ExpiresAt = &at
	}
	f.Check(k.ExpiresAt == nil || k.ExpiresAt.After(now), "body.expires_at", "a time to come")
	switch k.Kind {
	case apikey.KindManagement:
		f.Check(in.Environment == apikey.AnyEnvironment, "body.environment", "management keys have none")
		f.Check(in.Plan == "", "body.plan", "management keys have none")
		f.Check(in.SubscriptionID.IsZero(), "body.subscription_id", "management keys have none")
		f.Check(len(in.Scopes) > 0, "body.scopes", "a management key needs at least one of %s", access.ScopeNames())
	case apikey.KindAPI:
		if k.Environment == apikey.AnyEnvironment {
			k.Environment = apikey.Live
		}
	default:
		f.Add("body.kind", "api or management")
	}
	k.check(&f, nil)
	return k, f.Err()
}

// check normalises a key's settings and notes every value that breaks a rule. A
// pattern that the key had already stays, for there are some from before the rule.
func (k *Key) check(f *fault.Fields, had []string) {
	for _, list := range []*[]string{&k.Scopes, &k.Tags, &k.AllowMethods, &k.AllowPaths} {
		if *list == nil {
			*list = []string{}
		}
	}
	field.Name(f, "body.name", k.Name)
	field.Scopes(f, "body.scopes", k.Scopes)
	if k.Kind == apikey.KindManagement {
		for i, s := range k.Scopes {
			f.Check(access.Known(s), fmt.Sprintf("body.scopes[%d]", i), "one of %s", access.ScopeNames())
		}
	}
	field.Tags(f, "body.tags", k.Tags)
	k.Metadata = field.Metadata(f, "body.metadata", k.Metadata)
	k.checkOverrides(f)
	k.AllowCIDRs = networks(f, "body.allow_cidrs", k.AllowCIDRs)
	k.DenyCIDRs = networks(f, "body.deny_cidrs", k.DenyCIDRs)
	f.Check(len(k.AllowMethods) <= MaxMethods, "body.allow_methods", "at most %d", MaxMethods)
	for i, m := range k.AllowMethods {
		f.Check(isMethod(m), fmt.Sprintf("body.allow_methods[%d]", i), "an HTTP method in capital letters, such as GET")
	}
	f.Check(len(k.AllowPaths) <= MaxPaths, "body.allow_paths", "at most %d", MaxPaths)
	for i, p := range k.AllowPaths {
		f.Check(isPattern(p) || slices.Contains(had, p), fmt.Sprintf("body.allow_paths[%d]", i), "a path such as /reports or /users/*/keys, with * for one whole segment, of at most %d bytes", MaxPath)
	}
	f.Check(k.RotateEveryDays >= 0 && k.RotateEveryDays <= MaxRotateDays, "body.rotate_every_days", "1 to %d", MaxRotateDays)
	f.Check(k.RotateEveryDays == 0 || k.Kind == apikey.KindAPI, "body.rotate_every_days", "of API keys: a management key cannot rotate itself")
	checkOverlap(f, k.RotateOverlapHours)
	field.Time(f, "body.not_before", k.NotBefore)
	if k.RotateBy != nil { // it follows not_before, and can be written down as well
		lapses := k.RotateBy.Add(time.Duration(k.RotateOverlapHours) * time.Hour)
		f.Check(lapses.UTC().Year() <= 9999, "body.not_before", "a time that leaves room for rotate_every_days until the year 9999")
	}
	field.Time(f, "body.expires_at", k.ExpiresAt)
	f.Check(k.NotBefore == nil || k.ExpiresAt == nil || k.NotBefore.Before(*k.ExpiresAt), "body.not_before", "a time before expires_at")
	k.NotBefore, k.ExpiresAt = clock.StoredOrNil(k.NotBefore), clock.StoredOrNil(k.ExpiresAt)
}

func checkOverlap(f *fault.Fields, hours int) {
	f.Check(hours >= 0 && hours <= MaxOverlapHours, "body.rotate_overlap_hours", "0 to %d", MaxOverlapHours)
}

// checkOverrides asks no plan for its limits: a plan may have them later, and the
// key another plan.
func (k *Key) checkOverrides(f *fault.Fields) {
	if k.LimitOverrides == nil {
		k.LimitOverrides = map[string]int64{}
	}
	f.Check(len(k.LimitOverrides) <= plans.MaxLimits, "body.limit_overrides", "at most %d", plans.MaxLimits)
	f.Check(len(k.LimitOverrides) == 0 || k.Kind == apikey.KindAPI, "body.limit_overrides", "management keys have none")
	for name, amount := range k.LimitOverrides { // no name is repeated, for it may be anything
		var wrong fault.Fields
		field.Slug(&wrong, "", name)
		if wrong.Err() != nil || amount < 1 || amount > limits.MaxAmount {
			f.Add("body.limit_overrides", "names of limits, each with an amount of 1 to %d", limits.MaxAmount)
			return
		}
	}
}

// setRotation says how often the holder must rotate the key, from now on; from
// where it begins, if that is to come, for nobody can rotate it before.
func (k *Key) setRotation(everyDays, overlapHours int, now time.Time) {
	k.RotateEveryDays, k.RotateOverlapHours, k.RotateBy = everyDays, overlapHours, nil
	if everyDays == 0 {
		k.RotateOverlapHours = 0
		return
	}
	from := now
	if k.begins(now) {
		from = clock.Stored(*k.NotBefore)
	}
	by := from.AddDate(0, 0, everyDays)
	k.RotateBy = &by
}

// begins reports whether the key is to be good only from a moment to come.
func (k *Key) begins(now time.Time) bool { return k.NotBefore != nil && now.Before(*k.NotBefore) }

// networks masks the bits behind the prefix, so that what is shown is what is
// compared.
func networks(f *fault.Fields, location string, list []netip.Prefix) []netip.Prefix {
	f.Check(len(list) <= MaxCIDRs, location, "at most %d", MaxCIDRs)
	masked := make([]netip.Prefix, 0, len(list))
	for i, n := range list {
		f.Check(n.IsValid(), fmt.Sprintf("%s[%d]", location, i), "a network such as 203.0.113.0/24 or 2001:db8::/32")
		masked = append(masked, n.Masked())
	}
	return masked
}

func isMethod(m string) bool {
	if m == "" || len(m) > 32 {
		return false
	}
	return strings.IndexFunc(m, func(c rune) bool { return c < 'A' || c > 'Z' }) < 0
}

func isPattern(p string) bool {
	return len(p) <= MaxPath && apikey.CheckPattern(p) && strings.IndexFunc(p, func(c rune) bool { return c >= 0x7f }) < 0
}
