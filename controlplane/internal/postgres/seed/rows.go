package seed

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

// spread is a population in time: users came in the year before last, keys in
// the last one.
type spread struct {
	Population
	now   time.Time
	plans [3]id.Plan
}

const (
	year = 365 * 24 * time.Hour
	day  = 24 * time.Hour
)

func (s *spread) userAt(n int) time.Time {
	return s.now.Add(-2*year + time.Duration(float64(year)*float64(n)/float64(s.Users)))
}

func (s *spread) keyAt(n int) time.Time {
	return s.now.Add(-year + time.Duration(float64(year-day)*float64(n)/float64(s.Keys)))
}

// idAt is a UUIDv7 (RFC 9562) of a moment, the same each time for a number.
func idAt(kind uint64, n int, at time.Time) (u uuid.UUID) {
	r := draw(kind<<8, n)
	binary.BigEndian.PutUint64(u[0:], uint64(at.UnixMilli())<<16|r.Uint64()&0xffff)
	binary.BigEndian.PutUint64(u[8:], r.Uint64())
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u
}

func (s *spread) userID(n int) uuid.UUID { return idAt(1, n, s.userAt(n)) }
func (s *spread) subID(n int) uuid.UUID  { return idAt(2, n, s.userAt(n)) }
func (s *spread) keyID(n int) uuid.UUID  { return idAt(3, n, s.keyAt(n)) }

var userColumns = []string{
	"id", "kind", "name", "username", "email", "external_id", "role", "disabled_at", "created_at", "updated_at", "version",
}

func (s *spread) userRow(n int) []any {
	u, at := s.user(n), s.userAt(n)
	kind, username, stopped := users.KindPerson, (*string)(nil), (*time.Time)(nil)
	if u.service {
		kind = users.KindService
	}
	if u.username {
		name := fmt.Sprintf("seed-%d", n)
		username = &name
	}
	if u.disabled {
		stopped = &s.now
	}
	return []any{
		[16]byte(s.userID(n)), string(kind), fmt.Sprintf("Seeded user %d", n), username, fmt.Sprintf("user%d@example.com", n),
		fmt.Sprintf("seed-%d", n), "member", stopped, at, at, int64(1),
	}
}

var subscriptionColumns = []string{
	"id", "user_id", "plan_id", "status", "trial_ends_at", "period_end", "resumes_to", "standing", "standing_until", "created_at", "updated_at", "version",
}

func (s *spread) subscriptionRow(n int) []any {
	u, at := s.user(n), s.userAt(n)
	end := s.now.Add(60 * day)
	if u.past {
		end = s.now.Add(-day)
	}
	var trial, period *time.Time
	switch u.status {
	case "trialing":
		trial = &end
	case "canceled":
		period = &end
	}
	status, _ := apikey.ParseSubscriptionStatus(u.status)
	stamp, resumes := subscriptions.Subscription{Status: status, TrialEndsAt: trial, PeriodEnd: period}, apikey.Active
	if status == apikey.Trialing {
		resumes = status
	}
	return []any{
		[16]byte(s.subID(n)), [16]byte(s.userID(n)), [16]byte(s.plans[u.plan].UUID()), u.status, trial, period,
		resumes.String(), string(stamp.Standing(s.now)), stamp.StandingUntil(s.now), at, at, int64(1),
	}
}

var keyColumns = []string{
	"id", "digest", "pepper_id", "kind", "environment", "owner_id", "subscription_id", "plan_id", "name", "start", "last4",
	"scopes", "tags", "metadata", "allow_cidrs", "deny_cidrs", "allow_methods", "allow_paths",
	"not_before", "expires_at", "disabled_at", "revoked_at", "revoke_reason", "status", "status_until",
	"created_at", "updated_at", "version", "last_used_at", "last_used_ip",
}

var (
	none  = []string{}
	words = []string{"team/billing", "region/eu", "critical"}
)

func (s *spread) keyRow(n int, digester keys.Digester) []any {
	k, at, secret := s.key(n), s.keyAt(n), Secret(n)
	digest := digester.Digest(apikey.FingerprintOf(secret))
	owner := s.user(k.owner)
	var subscription, plan *[16]byte
	grants := tiers[2].grants
	if owner.status != "" && owner.status != "ended" {
		under, tier := [16]byte(s.subID(k.owner)), [16]byte(s.plans[owner.plan].UUID())
		subscription, plan, grants = &under, &tier, tiers[owner.plan].grants
	}
	cidrs, paths, metadata := none, none, "{}"
	if k.bound {
		cidrs, paths = []string{"203.0.113.0/24", "2001:db8::/32"}, []string{"/reports", "/orders/*/items"}
	}
	if k.noted {
		metadata = fmt.Sprintf(`{"order":%d}`, n)
	}
	starts, ends, stopped, gone, reason := s.dates(k, at)
	stamp := keys.Key{NotBefore: starts, ExpiresAt: ends, DisabledAt: stopped, RevokedAt: gone}
	from := n % (len(grants) - k.grant + 1)
	return []any{
		[16]byte(s.keyID(n)), digest.Sum, digest.PepperID, "api", environment(n).String(), [16]byte(s.userID(k.owner)), subscription, plan,
		fmt.Sprintf("seeded %d", n), secret[:len(secret)-38+apikey.StartBody], secret[len(secret)-4:],
		grants[from : from+k.grant], words[:k.tags], metadata, cidrs, none, none, paths,
		starts, ends, stopped, gone, reason, string(stamp.Status(s.now)), stamp.StatusUntil(s.now), at, at, int64(1), s.usedAt(n, at), s.usedFrom(n),
	}
}

func (s *spread) usedAt(n int, made time.Time) *time.Time {
	part, _, used := s.use(n)
	if !used {
		return nil
	}
	at := made.Add(time.Duration(float64(s.now.Sub(made)) * part))
	return &at
}

// usedFrom is an address that is nobody's (RFC 5737).
func (s *spread) usedFrom(n int) *netip.Addr {
	_, host, used := s.use(n)
	if !used {
		return nil
	}
	ip := netip.AddrFrom4([4]byte{203, 0, 113, host})
	return &ip
}

// dates are what makes a key what it is.
func (s *spread) dates(k key, at time.Time) (starts, ends, stopped, gone *time.Time, reason string) {
	before, later := s.now.Add(-time.Hour), s.now.Add(180*day)
	switch k.state {
	case revoked:
		gone, reason = &before, string(keys.Superseded)
	case disabled:
		stopped = &before
	case expired:
		return nil, &before, nil, nil, ""
	case notYetValid:
		starts = &later
		return starts, nil, nil, nil, ""
	}
	if k.ends {
		ends = &later
	}
	return starts, ends, stopped, gone, reason
}
