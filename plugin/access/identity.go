package access

import (
	"slices"
	"strings"
	"sync"

	"github.com/latchkey/latchkey/plugin/gateway"
	"github.com/latchkey/latchkey/shared/apikey"
)

// identity are the headers by which the upstream knows the caller. Those that
// are not set for a request are cleared: the client may have sent them.
var identity = [...]string{
	consumerID:           "X-Consumer-ID",
	consumerUsername:     "X-Consumer-Username",
	consumerCustomID:     "X-Consumer-Custom-ID",
	credentialIdentifier: "X-Credential-Identifier",
	authenticatedScope:   "X-Authenticated-Scope",
	consumerGroups:       "X-Consumer-Groups",
	environment:          "Latchkey-Environment",
	anonymousConsumer:    "X-Anonymous-Consumer",
}

// The places of the identity headers in a batch.
const (
	consumerID = iota
	consumerUsername
	consumerCustomID
	credentialIdentifier
	authenticatedScope
	consumerGroups
	environment
	anonymousConsumer
	clears // from here on a batch only clears
)

// batches are the header lists of SetUpstream: first the identity headers, to be
// filled in, then everything that is cleared, Authorization last. They are
// reused, for every request needs one and little of it changes.
type batches struct{ pool sync.Pool }

func newBatches(p *Policy) *batches {
	var batch []gateway.Header
	for _, name := range identity {
		batch = append(batch, gateway.Header{Name: name})
	}
	for _, name := range identity {
		for _, form := range forms(name)[1:] {
			batch = append(batch, gateway.Header{Name: form})
		}
	}
	if p.HideCredentials {
		cleared := map[string]bool{}
		for _, name := range p.KeyNames {
			for _, form := range forms(name) {
				if !cleared[strings.ToLower(form)] { // a name may stand in a batch once
					cleared[strings.ToLower(form)] = true
					batch = append(batch, gateway.Header{Name: form})
				}
			}
		}
	}
	batch = append(batch, gateway.Header{Name: authorization})
	b := &batches{}
	b.pool.New = func() any {
		own := slices.Clone(batch)
		return &own
	}
	return b
}

// send fills a batch in and sends it.
func (b *batches) send(p *gateway.Phase, fill func([]gateway.Header), hideAuthorization bool) error {
	batch := b.pool.Get().(*[]gateway.Header)
	headers := *batch
	fill(headers)
	if !hideAuthorization {
		headers = headers[:len(headers)-1]
	}
	err := p.SetUpstream(headers)
	for i := range clears { // a pool must not keep who was here
		headers[i].Value = ""
	}
	b.pool.Put(batch)
	return err
}

// forms returns every way to write a name with dashes or underscores, the given
// one first. Kong looks headers up without telling them apart but clears them by
// the exact name, and upstreams in the manner of CGI see one variable for all.
func forms(name string) []string {
	var at []int
	for i := range len(name) {
		if name[i] == '-' || name[i] == '_' {
			at = append(at, i)
		}
	}
	all := make([]string, 0, 1<<len(at))
	for n := range 1 << len(at) {
		form := []byte(name)
		for bit, i := range at {
			if n>>bit&1 == 1 {
				form[i] ^= '-' ^ '_'
			}
		}
		all = append(all, string(form))
	}
	return all
}

// setIdentity writes who the caller is; what is empty is cleared.
func setIdentity(h []gateway.Header, r *apikey.Record) {
	h[consumerID].Value = r.User.ID
	h[consumerUsername].Value = r.User.Name
	h[consumerCustomID].Value = r.User.ExternalID
	h[credentialIdentifier].Value = r.Key.ID
	h[authenticatedScope].Value = joined(r.Key.Scopes)
	h[consumerGroups].Value = r.Subscription.Plan
	h[environment].Value = r.Key.Environment.String()
}

func setAnonymous(h []gateway.Header) { h[anonymousConsumer].Value = "true" }

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
