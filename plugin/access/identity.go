package access

import (
	"strings"

	"github.com/latchkey/latchkey/shared/apikey"
)

// identity are the headers by which the upstream knows the caller. Those that
// are not set for a request are cleared where the client sent them, and so are
// all their other forms: Kong sets and clears a header by its exact name, but
// upstreams in the manner of CGI see one variable for all.
var identity = [identities]string{
	consumerID:           "X-Consumer-ID",
	consumerUsername:     "X-Consumer-Username",
	consumerCustomID:     "X-Consumer-Custom-ID",
	credentialIdentifier: "X-Credential-Identifier",
	authenticatedScope:   "X-Authenticated-Scope",
	consumerGroups:       "X-Consumer-Groups",
	environment:          "Latchkey-Environment",
	anonymousConsumer:    "X-Anonymous-Consumer",
}

// The places of the identity headers.
const (
	consumerID = iota
	consumerUsername
	consumerCustomID
	credentialIdentifier
	authenticatedScope
	consumerGroups
	environment
	anonymousConsumer
	identities // how many there are
)

// identityOf is who the caller is, by the places of the identity headers.
func identityOf(r *apikey.Record) [identities]string {
	return [identities]string{
		consumerID:           r.User.ID,
		consumerUsername:     r.User.Name,
		consumerCustomID:     r.User.ExternalID,
		credentialIdentifier: r.Key.ID,
		authenticatedScope:   joined(r.Key.Scopes),
		consumerGroups:       r.Subscription.Plan,
		environment:          r.Key.Environment.String(),
	}
}

// anonymous is who nobody is.
var anonymous = [identities]string{anonymousConsumer: "true"}

// joined puts spaces between the elements, as OAuth writes scopes (RFC 6749,
// section 3.3).
func joined(list apikey.Strings) string {
	var b strings.Builder
	for s := range list.All() {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s)
	}
	return b.String()
}
