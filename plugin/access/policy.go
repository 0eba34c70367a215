package access

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/shared/apikey"
)

// Policy is the configuration of the plugin on a route, a service or everything.
// Its fields are the schema that Kong knows, which can say neither defaults nor
// rules: they are in defaults and check. Absent and null keep the default.
type Policy struct {
	// KeyNames are the headers, and with KeyInQuery the query arguments, in
	// which a key may stand, in the order in which they are looked at.
	KeyNames Names `json:"key_names"`
	// KeyInBearer looks into Authorization: Bearer after them.
	KeyInBearer bool `json:"key_in_bearer"`
	// KeyInQuery looks into the query last. Addresses end up in logs.
	KeyInQuery bool `json:"key_in_query"`
	// HideCredentials takes the key out of the request to the upstream.
	HideCredentials bool `json:"hide_credentials"`
	// Scopes are all needed, of ScopesAny one where there are any.
	Scopes    Names `json:"scopes"`
	ScopesAny Names `json:"scopes_any"`
	// StrictCredentials looks at every header, and refuses a request with more
	// than one credential.
	StrictCredentials bool `json:"strict_credentials"`
	// Environment is "live" or "test" where only such keys may pass.
	Environment string `json:"environment"`
	// Anonymous admits requests without any credential.
	Anonymous bool `json:"anonymous"`
	// Authenticate tells Kong's own plugins who the caller is.
	Authenticate bool `json:"authenticate"`
	// Realm is what WWW-Authenticate names.
	Realm string `json:"realm"`
}

// Names is a list that null does not change, and that may be an empty object:
// Kong's Lua does not tell an empty list from one.
type Names []string

// UnmarshalJSON reads a list of strings.
func (n *Names) UnmarshalJSON(b []byte) error {
	switch string(bytes.TrimSpace(b)) {
	case "null":
		return nil
	case "{}":
		*n = Names{}
		return nil
	}
	var list []string
	err := json.Unmarshal(b, &list)
	*n = list
	return err
}

func defaults() Policy {
	return Policy{KeyNames: Names{"X-API-Key"}, KeyInBearer: true, HideCredentials: true, Realm: "latchkey"}
}

// parsePolicy reads a configuration as Kong sends it. The error names everything
// that is wrong with it, in one line.
func parsePolicy(config []byte) (Policy, error) {
	p := defaults()
	if err := json.Unmarshal(config, &p); err != nil {
		return Policy{}, fmt.Errorf("not the plugin's configuration: %w", err)
	}
	if wrong := p.check(); len(wrong) > 0 {
		return Policy{}, fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return p, nil
}

const (
	mostNames  = 8
	longest    = 64 // bytes of a name or of the realm
	mostDashes = 4  // a name has 2^n forms that some upstream takes for it
	mostScopes = 64
)

func (p *Policy) check() (wrong []string) {
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if len(p.KeyNames) > mostNames {
		add("key_names: want at most %d", mostNames)
	}
	for _, name := range p.KeyNames {
		if why := checkName(name); why != "" {
			add("key_names: %s", why)
		}
	}
	if !p.KeyInBearer && len(p.KeyNames) == 0 {
		add("key_names: want at least one where key_in_bearer is false, or no key could be found")
	}
	if p.KeyInQuery && len(p.KeyNames) == 0 {
		add("key_names: want the names of query arguments where key_in_query is true")
	}
	for field, scopes := range map[string]Names{"scopes": p.Scopes, "scopes_any": p.ScopesAny} {
		if len(scopes) > mostScopes || slices.ContainsFunc(scopes, func(s string) bool { return !apikey.CheckScope(s) }) {
			add("%s: want at most %d words of a-z, 0-9 and ._:*-, each of at most %d bytes", field, mostScopes, apikey.MaxScope)
		}
	}
	if _, ok := apikey.ParseEnvironment(p.Environment); !ok && p.Environment != "" {
		add(`environment: want "live", "test" or nothing`)
	}
	if !quotable(p.Realm) {
		add(`realm: want 1 to %d printable ASCII characters but " and \`, longest)
	}
	slices.Sort(wrong) // a map was walked
	return wrong
}

// reserved are headers that cannot stand for a key: the policy has another word
// for them, or the request would not survive their removal.
var reserved = map[string]string{
	"authorization":    "Authorization is key_in_bearer's",
	"proxy-connection": "", "connection": "", "content-length": "", "content-type": "", "cookie": "",
	"expect": "", "host": "", "te": "", "trailer": "", "transfer-encoding": "", "upgrade": "",
}

// checkName says what is wrong with the name of a header for keys.
func checkName(name string) string {
	if len(name) == 0 || len(name) > longest || strings.Trim(name, tokenBytes) != "" || strings.Count(dashed(name), "-") > mostDashes {
		return fmt.Sprintf("want names of 1 to %d letters, digits, - and _, with at most %d of these two", longest, mostDashes)
	}
	why, found := reserved[dashed(name)]
	switch {
	case why != "":
		return why
	case found || slices.ContainsFunc(identity[:], func(own string) bool { return dashed(own) == dashed(name) }):
		return "the header " + dashed(name) + " means something else"
	}
	return ""
}

const tokenBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func quotable(realm string) bool {
	for i := range len(realm) {
		if c := realm[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return realm != "" && len(realm) <= longest
}

// dashed is the form in which names are compared: nginx takes underscores for
// dashes where it looks a header up.
func dashed(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }
