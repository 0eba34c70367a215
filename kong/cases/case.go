package cases

import (
	"fmt"
	"slices"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Policy is a route's configuration of the plugin.
type Policy = map[string]any

// Case is one request and what is to become of it. It may be put through any
// number of times; once the key's record is cached nothing may change but Calls.
type Case struct {
	Name    string
	Policy  Policy
	Request kongtest.Request
	// Keys are the keys that exist beside those of other cases.
	Keys []Key
	Want Want
	// Calls are the plugin's calls into Kong, once the record is cached. Nil: as
	// many as it takes.
	Calls []string
	// Unsendable says why no client can send the request, "" where one can. The
	// plugin need not fear it, but is held to it.
	Unsendable string
}

// Key is a key and what the control plane knows of it.
type Key struct {
	Text   string
	Record apikey.Record
}

// Want is the outcome. A request that is let through reaches the upstream with
// the identity headers of Caller, the headers Left, and no other.
type Want struct {
	// Codes are the verdicts of which one is right; none: Problem is what it gets.
	Codes []apikey.Code
	// Problem is the code of an answer that is no verdict; "" is the fault that a
	// wrong configuration is.
	Problem      string
	MissingScope string
	// Caller is the record behind the identity headers and a refusal's
	// subscription; nil: nobody's.
	Caller *apikey.Record
	Left   kongtest.Headers
	Query  string // that the upstream sees
}

// allowed is what becomes of a request with a good key.
func allowed(k Key, left ...string) Want {
	return Want{Codes: []apikey.Code{apikey.Valid}, Caller: &k.Record, Left: headers(left...)}
}

// anonymous is what becomes of a request without any credential where the policy
// lets it through.
func anonymous(left ...string) Want {
	return Want{Codes: []apikey.Code{apikey.Valid}, Left: headers(left...)}
}

// refused is a refusal that tells nothing of a key.
func refused(codes ...apikey.Code) Want { return Want{Codes: codes} }

// refusedTo is a refusal that is told to somebody whose key is known.
func refusedTo(k Key, code apikey.Code) Want {
	return Want{Codes: []apikey.Code{code}, Caller: &k.Record}
}

// fault is what becomes of every request under a wrong configuration.
func fault() Want { return Want{} }

// stripping is what becomes of a request that would have Kong take away what the
// plugin sets, whoever sends it.
func stripping() Want { return Want{Problem: "BAD_CONNECTION_HEADER"} }

// Record returns the record of a key that passes.
func Record() apikey.Record {
	return apikey.Record{
		Change: 1, DependsOn: apikey.NewStrings("key_1", "usr_1"),
		Key: apikey.Key{
			ID: "key_1", Name: "worker", Environment: apikey.Live,
			Scopes: apikey.NewStrings("reports:read", "reports:write"),
		},
		User:         apikey.User{ID: "usr_1", Name: "Ada", ExternalID: "customer-7"},
		Subscription: apikey.Subscription{ID: "sub_1", PlanID: "pln_1", Plan: "pro"},
	}
}

// Issue makes a key with that record, changed. A control plane that is to know
// it must be told.
func Issue(change func(*apikey.Record)) Key {
	r := Record()
	if change != nil {
		change(&r)
	}
	return Key{apikey.NewSecret("lk", apikey.KindAPI, apikey.Live).Reveal(), r}
}

// Scoped is the policy of most cases. It asks for a scope, for a policy that
// asks for none has a hint in Kong's log.
func Scoped() Policy { return with() }

// with adds names and values in turn to that policy.
func with(pairs ...any) Policy {
	p := Policy{"scopes": []string{"reports:read"}}
	for pair := range slices.Chunk(pairs, 2) {
		p[pair[0].(string)] = pair[1]
	}
	return p
}

// headers makes headers of names and values in turn.
func headers(pairs ...string) (out kongtest.Headers) {
	for pair := range slices.Chunk(pairs, 2) {
		out = append(out, kongtest.Header{Name: pair[0], Value: pair[1]})
	}
	return out
}

// sent is a request with these headers.
func sent(pairs ...string) kongtest.Request { return kongtest.Request{Headers: headers(pairs...)} }

// All returns every case of latchkey-auth, with fresh keys. Names are unique.
func All() ([]Case, error) {
	decisions, err := decisions()
	if err != nil {
		return nil, fmt.Errorf("the shared vectors: %w", err)
	}
	all := places()
	for _, more := range [][]Case{strictness(), policies(), upstream(), connections(), credentials(), hostile(), queries(), decisions} {
		all = append(all, more...)
	}
	return all, nil
}
