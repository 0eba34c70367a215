package records

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Explanation is how a key is judged for a request, check by check.
type Explanation struct {
	Code apikey.Code
	// Record is the key's, its zero value where there is no such key.
	Record apikey.Record
	// At is the moment that it was judged by.
	At apikey.Instant
	// Checks are those that could be made, in their order; none where there is no
	// such key.
	Checks []Check
}

// Check is one check: what it compared with what.
type Check struct {
	apikey.Check
	Source Origin
	Rule   map[string]any // as JSON: what applies
	Input  map[string]any // as JSON: what it was compared with
}

// Origin says which thing a rule belongs to.
type Origin string

// The origins of rules.
const (
	OfKey          Origin = "key"
	OfUser         Origin = "user"
	OfSubscription Origin = "subscription"
	OfPlan         Origin = "plan"
)

// Explainer explains decisions to operators. It reads the database and leaves
// nothing behind: no cache is used or filled, nothing is counted, no key moves to
// another pepper. Safe for concurrent use.
type Explainer struct {
	rows    Rows
	peppers *Peppers
	now     func() time.Time
}

// NewExplainer returns an explainer over rows and peppers.
func NewExplainer(rows Rows, peppers *Peppers, now func() time.Time) *Explainer {
	return &Explainer{rows: rows, peppers: peppers, now: now}
}

// Explain judges a request, whose fingerprint is a key's, by what the database
// says at this moment. It needs keys:read.
func (e *Explainer) Explain(ctx context.Context, caller access.Caller, req *apikey.Request) (Explanation, error) {
	if err := caller.Require(access.KeysRead); err != nil {
		return Explanation{}, err
	}
	row, head, err := e.rows.ByDigest(ctx, e.peppers.Digests(req.Fingerprint))
	if err != nil {
		return Explanation{}, err
	}
	if row == nil {
		return Explanation{Code: apikey.KeyNotFound}, nil
	}
	now := apikey.InstantOf(e.now())
	x := Explanation{Code: apikey.Valid, Record: Compose(row, head.Number), At: now}
	for _, made := range apikey.Explain(now, &x.Record, req) {
		if made.Failed && x.Code == apikey.Valid {
			x.Code = made.Code
		}
		c := Check{Check: made}
		c.Source, c.Rule, c.Input = reasons(made.Code, subject{now: now, row: row, record: &x.Record, request: req})
		x.Checks = append(x.Checks, c)
	}
	return x, nil
}

// subject is everything that a check may look at.
type subject struct {
	now     apikey.Instant
	row     *Row
	record  *apikey.Record
	request *apikey.Request
}

// reasons says which rule a check applied, and to what.
func reasons(c apikey.Code, s subject) (source Origin, rule, input map[string]any) {
	k, sub, req := &s.record.Key, &s.record.Subscription, s.request
	now := map[string]any{"now": s.now}
	switch c {
	case apikey.Undecided:
		return OfKey, map[string]any{"needs": s.record.Needs}, nil
	case apikey.KeyNotFound:
		return OfKey, map[string]any{"kind": k.Kind}, map[string]any{"kind": req.Kind}
	case apikey.Revoked:
		return OfKey, map[string]any{"revoked_at": k.RevokedAt}, now
	case apikey.Retired:
		return OfKey, map[string]any{"retires_at": k.RetiresAt}, now
	case apikey.Disabled:
		return OfKey, map[string]any{"disabled": k.Disabled}, nil
	case apikey.NotYetValid:
		return OfKey, map[string]any{"not_before": k.NotBefore}, now
	case apikey.Expired:
		rule = map[string]any{"expires_at": k.ExpiresAt}
		if s.row.RotateBy != nil { // its end may be that of the grace after this
			rule["rotate_by"], rule["rotate_overlap_hours"] = k.RotateBy, s.row.RotateOverlapHours
		}
		return OfKey, rule, now
	case apikey.TrialEnded:
		return OfSubscription, subscribed(sub, "trial_ends_at", sub.TrialEndsAt), now
	case apikey.OwnerDisabled:
		return OfUser, map[string]any{"disabled": s.record.User.Disabled}, nil
	case apikey.PlanInactive:
		return OfSubscription, subscribed(sub, "period_end", sub.PeriodEnd), now
	case apikey.EnvironmentMismatch:
		return OfKey, map[string]any{"environment": k.Environment}, map[string]any{"environment": req.Environment}
	case apikey.IPNotAllowed:
		return OfKey, map[string]any{"allow_cidrs": k.AllowCIDRs, "deny_cidrs": k.DenyCIDRs}, map[string]any{"client_ip": addressOf(req)}
	case apikey.MethodNotAllowed:
		return OfKey, map[string]any{"allow_methods": k.AllowMethods}, map[string]any{"method": req.Method}
	case apikey.PathNotAllowed:
		return OfKey, map[string]any{"allow_paths": k.AllowPaths}, map[string]any{"path": req.Path}
	case apikey.InsufficientScope:
		return scopeReasons(s)
	}
	return OfKey, nil, nil
}

// subscribed is the rule of a subscription; without one there is none.
func subscribed(sub *apikey.Subscription, name string, end apikey.Instant) map[string]any {
	if sub.ID == "" {
		return nil
	}
	return map[string]any{"status": sub.Status, name: end}
}

// scopeReasons tells a scope that the key never had from one that its plan takes
// away.
func scopeReasons(s subject) (source Origin, rule, input map[string]any) {
	source, rule = OfKey, map[string]any{"key_scopes": s.row.Scopes, "effective_scopes": s.record.Key.Scopes}
	if s.row.Plan != nil {
		rule["plan_scopes"] = s.row.Plan.Scopes
		own := apikey.Record{Key: apikey.Key{Scopes: apikey.NewStrings(s.row.Scopes...)}}
		if s.record.MissingScope(s.request) != "" && own.MissingScope(s.request) == "" {
			source = OfPlan
		}
	}
	input = map[string]any{"scopes": nonNil(s.request.Scopes), "scopes_any": nonNil(s.request.AnyScopes)}
	if missing := s.record.MissingScope(s.request); missing != "" {
		input["missing_scope"] = missing
	}
	return source, rule, input
}

// addressOf is the client's address, nil where it is not known.
func addressOf(req *apikey.Request) any {
	if ip := req.ClientIP(); ip.IsValid() {
		return ip
	}
	return nil
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
