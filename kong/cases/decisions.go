package cases

import (
	"strings"
	"time"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/apikey/vectors"
)

// decisions are those that all doors share, but the ones of other doors.
func decisions() (all []Case, err error) {
	shared, err := vectors.All()
	if err != nil {
		return nil, err
	}
	for i := range shared {
		v := &shared[i]
		if v.Request.Kind != apikey.KindAPI || v.Code == apikey.MethodNotAllowed && v.Request.Method == "" {
			continue // a management key is for another door, and a gateway knows the method
		}
		all = append(all, decision(v))
	}
	return all, nil
}

// decision makes a case of a vector, with a key of its own where many vectors
// share one.
func decision(v *vectors.Vector) Case {
	c := Case{
		Name: "decision: " + v.Name, Policy: policyOf(v),
		Request: kongtest.Request{Method: v.Request.Method, Path: v.Request.Path},
		Want:    Want{Codes: []apikey.Code{v.Code}, MissingScope: v.MissingScope},
	}
	credential := v.Credential
	if token, ok := vectors.Prefixes.Parse(credential); ok {
		credential = apikey.NewSecret("lk", token.Kind, token.Environment).Reveal()
		if v.Found {
			record := moved(v.Record, v.Now)
			c.Keys = []Key{{credential, record}}
			if v.Code != apikey.KeyNotFound && v.Code != apikey.AmbiguousCredential {
				c.Want.Caller = &record
			}
		}
	}
	if credential != "" {
		c.Request.Headers = headers("X-API-Key", credential)
	}
	if v.Also != "" {
		c.Request.Headers = append(c.Request.Headers, headers("Authorization", "Bearer "+v.Also)...)
	}
	if strings.TrimSpace(credential) != credential {
		c.Unsendable = "nginx takes the space away, and the key is a good one"
	}
	switch {
	case v.Request.IP.IsValid():
		c.Request.ClientIP = v.Request.IP.String()
	case !v.Record.Key.AllowCIDRs.Empty() || !v.Record.Key.DenyCIDRs.Empty() && v.Code == apikey.IPNotAllowed:
		c.Request.ClientIP, c.Unsendable = "unix:", "who comes over TCP has an address"
	}
	return c
}

func policyOf(v *vectors.Vector) Policy {
	p := Policy{"scopes": v.Request.Scopes, "scopes_any": v.Request.AnyScopes, "strict_credentials": v.Also != ""}
	if v.Request.Environment != 0 {
		p["environment"] = v.Request.Environment.String()
	}
	return p
}

// moved brings a record's times from the vector's now to the real one; what lies
// ahead of it stays well ahead.
func moved(r apikey.Record, now time.Time) apikey.Record {
	r.Change = 1
	ahead := apikey.InstantOf(now)
	by := apikey.InstantOf(time.Now()) - ahead
	for _, i := range []*apikey.Instant{
		&r.Key.NotBefore, &r.Key.ExpiresAt, &r.Key.RetiresAt, &r.Key.RevokedAt, &r.Subscription.TrialEndsAt, &r.Subscription.PeriodEnd,
	} {
		if *i > ahead {
			*i += apikey.Instant(time.Hour / time.Microsecond)
		}
		if *i != 0 {
			*i += by
		}
	}
	return r
}
