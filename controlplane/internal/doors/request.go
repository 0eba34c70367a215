package doors

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

const (
	maxScopes = 64
	maxMethod = 32   // bytes
	maxPath   = 8192 // bytes
)

// AuthRequest is the body of POST /v1/auth. Its tags are also its documentation.
type AuthRequest struct {
	AuthKey   string   `json:"auth_key" doc:"The key to judge. Absent or empty: MISSING_CREDENTIAL." example:"lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"`
	Scopes    []string `json:"scopes,omitempty" maxItems:"64" doc:"Scopes that the key must have, all of them." example:"[\"reports:read\"]"`
	ScopesAny []string `json:"scopes_any,omitempty" maxItems:"64" doc:"Scopes of which the key must have one." example:"[\"reports:read\",\"reports:write\"]"`
	ClientIP  string   `json:"client_ip,omitempty" doc:"The address of the client that showed the key. Believed only from a caller with auth:on-behalf; for others the connection's address counts." example:"203.0.113.9"`
	Method    string   `json:"method,omitempty" maxLength:"32" doc:"The HTTP method of the client's request. Believed only from a caller with auth:on-behalf." example:"GET"`
	Path      string   `json:"path,omitempty" maxLength:"8192" doc:"The path of the client's request as it was sent, still encoded, without its query. Believed only from a caller with auth:on-behalf." example:"/reports/7"`
}

// authRequest is an AuthRequest whose values are right, and what is asked of the
// judge because of it. They are one allocation.
type authRequest struct {
	AuthRequest
	address netip.Addr // ClientIP, or the zero Addr
	asked   apikey.Request
}

// readAuthRequest decodes a body. One pass decides about good ones; where it
// finds a fault, the form is looked at first, so that a body which is no JSON is
// never said to have a wrong value. NUL needs no look of its own here: no member
// but auth_key may hold it, and an auth_key that does is MALFORMED.
func readAuthRequest(body []byte) (*authRequest, *web.Problem) {
	in := new(authRequest)
	if p := web.DecodeJSON(body, &in.AuthRequest); p != nil {
		if form := web.CheckJSON(body); form != nil {
			return nil, form
		}
		return nil, p
	}
	var wrong fault.Fields
	in.check(&wrong)
	if err := wrong.Err(); err != nil {
		return nil, web.ProblemOf(err)
	}
	return in, nil
}

// check notes the values that are wrong, and else makes of the request what the
// judge is asked.
func (in *authRequest) check(wrong *fault.Fields) {
	checkScopes(wrong, "body.scopes", in.Scopes)
	checkScopes(wrong, "body.scopes_any", in.ScopesAny)
	if in.ClientIP != "" {
		address, err := netip.ParseAddr(in.ClientIP)
		wrong.Check(err == nil && address.Zone() == "", "body.client_ip", "want an IP address, such as 203.0.113.9 or 2001:db8::9")
		in.address = address.Unmap()
	}
	wrong.Check(methodToken(in.Method), "body.method", "want an HTTP method, such as GET")
	wrong.Check(in.Path == "" || in.Path[0] == '/' && len(in.Path) <= maxPath && !strings.ContainsAny(in.Path, "?#\x00"),
		"body.path", "want a path as it was sent, that starts with /, without query, of at most %d bytes", maxPath)
	in.asked = apikey.Request{Kind: apikey.KindAPI, Scopes: in.Scopes, AnyScopes: in.ScopesAny}
}

func checkScopes(wrong *fault.Fields, location string, scopes []string) {
	if len(scopes) > maxScopes {
		wrong.Add(location, "want at most %d scopes", maxScopes)
		return
	}
	for i, s := range scopes {
		if !apikey.CheckScope(s) {
			wrong.Add(fmt.Sprintf("%s[%d]", location, i), "want 1 to %d of a-z, 0-9 and ._:*-, with * alone or after a last colon", apikey.MaxScope)
		}
	}
}

// methodToken accepts what RFC 9110 calls a token, or nothing.
func methodToken(method string) bool {
	if len(method) > maxMethod {
		return false
	}
	for i := range len(method) {
		c := method[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return true
}
