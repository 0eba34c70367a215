package cases

import (
	"strings"
	"time"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Owned are the headers that only the gateway may set.
var Owned = []string{
	"X-Consumer-ID", "X-Consumer-Username", "X-Consumer-Custom-ID", "X-Credential-Identifier",
	"X-Authenticated-Scope", "X-Consumer-Groups", "Latchkey-Environment", "X-Anonymous-Consumer",
}

// Writings returns every way to write a name that some upstream takes for it,
// the name itself first.
func Writings(name string) []string {
	all := []string{""}
	for _, c := range strings.Split(name, "") {
		var next []string
		for _, head := range all {
			if next = append(next, head+c); c == "-" {
				next = append(next, head+"_")
			}
		}
		all = next
	}
	return all
}

// forged is a client that claims to be somebody, in every writing there is, and
// says one harmless thing.
func forged(pairs ...string) kongtest.Request {
	var all kongtest.Headers
	for _, name := range Owned {
		for i, form := range Writings(name) {
			if i%2 == 1 {
				form = strings.ToLower(form)
			}
			all = append(all, headers(form, "forged", form, "twice")...)
		}
	}
	return kongtest.Request{Headers: append(all, headers(append(pairs, "Accept", "*/*")...)...)}
}

// identity are the headers by which the upstream knows the caller, nil being
// nobody. What is empty is not there.
func identity(r *apikey.Record) (set kongtest.Headers) {
	if r == nil {
		return headers("X-Anonymous-Consumer", "true")
	}
	for i, value := range []string{
		r.User.ID, r.User.Name, r.User.ExternalID, r.Key.ID,
		joined(r.Key.Scopes), r.Subscription.Plan, r.Key.Environment.String(),
	} {
		if value = strings.NewReplacer("\r", "%0D", "\n", "%0A").Replace(value); value != "" { // as Kong does
			set = append(set, kongtest.Header{Name: Owned[i], Value: value})
		}
	}
	return set
}

func joined(s apikey.Strings) string {
	var all []string
	for scope := range s.All() {
		all = append(all, scope)
	}
	return strings.Join(all, " ")
}

// upstream are clients that claim to be somebody: it sees the caller and nobody
// else.
func upstream() []Case {
	full := Issue(nil)
	least := Issue(func(r *apikey.Record) {
		r.User.Name, r.User.ExternalID, r.Subscription = "Zoë\r\nX-Consumer-ID: root", "", apikey.Subscription{}
		r.Key.Environment, r.Key.Scopes = apikey.Test, apikey.Strings{}
	})
	rotating := Issue(func(r *apikey.Record) {
		r.Key.RotateBy = apikey.InstantOf(time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC))
	})
	return []Case{
		{Name: "a key that is to be rotated", Policy: with(), Request: sent("X-API-Key", rotating.Text), Keys: []Key{rotating}, Want: allowed(rotating), Calls: calls(getHeaders, setUpstream, setResponse)},
		{Name: "forged, everything known", Policy: with(), Request: forged("X-API-Key", full.Text), Keys: []Key{full}, Want: allowed(full, "Accept", "*/*")},
		{Name: "forged, little known", Policy: Policy{}, Request: forged("X-API-Key", least.Text), Keys: []Key{least}, Want: allowed(least, "Accept", "*/*")},
		{Name: "forged, nobody", Policy: with("anonymous", true), Request: forged(), Want: anonymous("Accept", "*/*")},
		{Name: "forged, as Bearer", Policy: with(), Request: forged("Authorization", "Bearer "+full.Text), Keys: []Key{full}, Want: allowed(full, "Accept", "*/*")},
	}
}

// credentials are the writings of a key that the upstream must not see, and what
// stands beside it that it must.
func credentials() (all []Case) {
	key := Issue(nil)
	shown := with("hide_credentials", false)
	everywhere := with("key_in_query", true, "key_names", []string{"X-API-Key", "apikey"})
	add := func(name string, policy Policy, req kongtest.Request, query string, left ...string) {
		want := allowed(key, left...)
		want.Query = query
		all = append(all, Case{Name: "hidden: " + name, Policy: policy, Request: req, Keys: []Key{key}, Want: want})
	}
	query := func(raw string) kongtest.Request { return kongtest.Request{Query: raw} }
	text := key.Text
	add("header", with(), sent("x-api-key", text), "")
	add("underscores", with(), sent("X_API_Key", text), "")
	add("mixed", with(), sent("X-API_Key", text), "")
	add("every form", with(), sent("X-API-Key", text, "x_api_key", text, "X_API-KEY", text, "x-api_key", text), "")
	add("Bearer", with(), sent("Authorization", "Bearer "+text), "")
	add("another's Bearer", with(), sent("X-API-Key", text, "Authorization", "Bearer x"), "", "Authorization", "Bearer x")
	add("the other name", everywhere, sent("apikey", text), "")
	add("query", everywhere, query("b&apikey="+text+"&a=%20+&c=1&c=2"), "b&a=%20+&c=1&c=2")
	add("query, escaped", everywhere, query("%61pikey="+text), "")
	add("query, repeated", everywhere, query("apikey="+text+"&a&X-API-Key=x&apikey"), "a")
	add("query, not wanted", everywhere, kongtest.Request{Query: "apikey=x", Headers: headers("X-API-Key", text)}, "apikey=x")
	add("not, where it is shown", shown, sent("X-API-Key", text), "", "X-API-Key", text)
	add("not, shown as Bearer", shown, sent("Authorization", "Bearer "+text), "", "Authorization", "Bearer "+text)
	return all
}
