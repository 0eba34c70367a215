// Package problem is what a refused request is told: title, explanation and fix
// of every verdict code, and the headers that go with a refusal. Both doors, the
// control plane's and the gateway's, refuse with these, so that a client cannot
// tell by the answer which of them it met.
//
// Everything in it is a value or a function of its arguments. The web package
// of the control plane puts the entries into its catalogue of all error codes;
// the plugin answers with them.
//
// Invariant: every code but VALID has an entry, and no text names anything that
// a client does not know already.
package problem

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// MediaType is that of problem details (RFC 9457).
const MediaType = "application/problem+json"

// Entry is what there is to say about one code.
type Entry struct {
	Code   apikey.Code
	Title  string // a few words, the same for every occurrence
	Detail string // the explanation
	Fix    string // what the reader can do about it
}

// Of returns the entry of a code. Valid and what is no code have that of
// UNDECIDED.
func Of(c apikey.Code) Entry {
	if c >= apikey.Valid {
		c = apikey.Undecided
	}
	return entries[c]
}

// Entries returns every entry in the order of the checks, UNDECIDED last.
func Entries() []Entry {
	return append(slices.Clone(entries[apikey.Undecided+1:]), entries[apikey.Undecided])
}

// Type returns the path of the page that explains a code, such as
// "/docs/errors/key-not-found".
func Type(code string) string {
	return "/docs/errors/" + strings.ReplaceAll(strings.ToLower(code), "_", "-")
}

// Detail explains a refusal: what the code's entry says, or the scope that was
// missing.
func Detail(v *apikey.Verdict) string {
	if v.Code == apikey.InsufficientScope && v.MissingScope != "" {
		return "The key lacks the scope " + v.MissingScope + "."
	}
	return Of(v.Code).Detail
}

// Challenge returns the WWW-Authenticate of a refusal, or "" where it has none.
// By RFC 6750, section 3, it names no error where no credential was sent,
// invalid_request where there were several, invalid_token with the other 401s,
// and with a missing scope the scopes that were needed.
func Challenge(realm string, v *apikey.Verdict, req *apikey.Request) string {
	bearer := `Bearer realm="` + realm + `"`
	switch code := v.Code; {
	case code == apikey.MissingCredential:
		return bearer
	case code == apikey.AmbiguousCredential:
		return bearer + `, error="invalid_request"`
	case code.Status() == http.StatusUnauthorized:
		return bearer + `, error="invalid_token"`
	case code == apikey.InsufficientScope:
		scopes := req.Scopes
		if !slices.Contains(scopes, v.MissingScope) {
			scopes = append(slices.Clone(scopes), v.MissingScope)
		}
		return bearer + `, error="insufficient_scope", scope="` + strings.Join(scopes, " ") + `"`
	}
	return ""
}

// RetryAfter returns a wait as the header has it: whole seconds, rounded up, at
// least one.
func RetryAfter(wait time.Duration) string {
	return strconv.Itoa(max(1, int((wait+time.Second-1)/time.Second)))
}
