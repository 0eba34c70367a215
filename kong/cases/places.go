package cases

import (
	"net/netip"
	"slices"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// The calls into Kong, by short names. They are the budget: two, wherever in the
// headers a key stands, and one for each thing more.
const (
	getHeader    = "kong.request.get_header"
	getHeaders   = "kong.request.get_headers"
	getQuery     = "kong.request.get_raw_query"
	getIP        = "kong.client.get_forwarded_ip"
	getMethod    = "kong.request.get_method"
	getPath      = "kong.request.get_path_with_query"
	setUpstream  = "kong.service.request.set_headers"
	setResponse  = "kong.response.set_headers"
	setQuery     = "kong.service.request.set_raw_query"
	authenticate = "kong.client.authenticate"
	exit         = "kong.response.exit"
)

func calls(names ...string) []string { return names }

func revoked(r *apikey.Record) { r.Key.RevokedAt = 1 }

// places are the places in which a key may stand.
func places() []Case {
	key, bad := Issue(nil), Issue(revoked)
	good, gone := []Key{key}, []Key{bad}
	query := func(raw string) kongtest.Request { return kongtest.Request{Query: raw} }
	bearer := "Bearer " + key.Text
	inQuery := with("key_in_query", true)
	onlyQuery := with("key_in_query", true, "key_in_bearer", false)
	shownQuery := allowed(key)
	shownQuery.Query = "X-API-Key=" + key.Text
	keptQuery := allowed(key)
	keptQuery.Query = "a=1&b"
	missing := refused(apikey.MissingCredential)
	usual := calls(getHeaders, setUpstream)
	return []Case{
		{Name: "the usual place", Policy: with(), Request: sent("X-API-Key", key.Text), Keys: good, Want: allowed(key), Calls: usual},
		{Name: "in lower case", Policy: with(), Request: sent("x-api-key", key.Text, "Accept", "*/*"), Keys: good, Want: allowed(key, "Accept", "*/*"), Calls: usual},
		{Name: "underscore form", Policy: with(), Request: sent("x_api_key", key.Text), Keys: good, Want: allowed(key), Calls: usual},
		{Name: "repeated, the first counts", Policy: with(), Request: sent("X-API-Key", key.Text, "X-API-Key", bad.Text), Keys: []Key{key, bad}, Want: allowed(key), Calls: usual},
		{Name: "the second place", Policy: with(), Request: sent("authorization", "bEARER  "+key.Text), Keys: good, Want: allowed(key), Calls: usual},
		{Name: "Bearer, repeated", Policy: with(), Request: sent("Authorization", bearer, "Authorization", "Bearer x"), Keys: good, Want: allowed(key), Calls: usual},
		{Name: "another name", Policy: with("key_names", []string{"apikey"}), Request: sent("apikey", key.Text), Keys: good, Want: allowed(key), Calls: usual},
		{Name: "only Bearer", Policy: with("key_names", []string{}), Request: sent("Authorization", bearer), Keys: good, Want: allowed(key), Calls: usual},
		{Name: "the last of several names", Policy: with("key_names", []string{"a", "b-c", "D_e"}), Request: sent("d-E", key.Text), Keys: good, Want: allowed(key), Calls: usual},
		{Name: "of several names the policy's first", Policy: with("key_names", []string{"a", "b"}), Request: sent("b", bad.Text, "a", key.Text), Keys: []Key{key, bad}, Want: allowed(key), Calls: usual},
		{Name: "the form with dashes goes first", Policy: with(), Request: sent("x_api_key", bad.Text, "x-api_key", "x", "x-api-key", key.Text), Keys: []Key{key, bad}, Want: allowed(key), Calls: usual},
		{Name: "behind an empty one", Policy: with(), Request: sent("X-API-Key", "", "X-API-Key", key.Text), Keys: good, Want: allowed(key), Calls: usual},
		{Name: "several, none of which goes first", Policy: with(), Request: sent("x_api_key", key.Text, "x-api_key", bad.Text), Keys: []Key{key, bad}, Want: refused(apikey.AmbiguousCredential), Calls: calls(getHeaders, exit)},
		{Name: "more headers than Kong tells", Policy: with(), Request: crowded("X-API-Key", key.Text), Keys: good, Want: refused(apikey.AmbiguousCredential), Calls: calls(getHeaders, exit)},
		{Name: "null is absent", Policy: with("key_names", nil, "scopes_any", nil), Request: sent("X-API-Key", key.Text), Keys: good, Want: allowed(key), Calls: usual},
		{Name: "refused", Policy: with(), Request: sent("X-API-Key", bad.Text), Keys: gone, Want: refusedTo(bad, apikey.Revoked), Calls: calls(getHeaders, exit)},
		{Name: "malformed", Policy: with(), Request: sent("X-API-Key", "x"), Want: refused(apikey.Malformed), Calls: calls(getHeaders, exit)},
		{Name: "no credential at all", Policy: with(), Request: sent("Accept", "*/*"), Want: missing, Calls: calls(getHeaders, exit)},
		{Name: "an empty one", Policy: with(), Request: sent("X-API-Key", ""), Want: missing, Calls: calls(getHeaders, exit)},
		{Name: "no header's name", Policy: with(), Request: sent("X-API-Key ", key.Text), Keys: good, Want: missing},
		{Name: "another scheme", Policy: with(), Request: sent("Authorization", "Basic "+key.Text), Keys: good, Want: missing, Calls: calls(getHeaders, exit)},
		{Name: "Bearer not asked for", Policy: with("key_in_bearer", false), Request: sent("Authorization", bearer), Keys: good, Want: missing, Calls: calls(getHeaders, exit)},
		{Name: "the first place wins", Policy: with(), Request: sent("X-API-Key", "x", "Authorization", bearer), Keys: good, Want: refused(apikey.Malformed), Calls: calls(getHeaders, exit)},
		{Name: "query not asked for", Policy: with(), Request: query("X-API-Key=" + key.Text), Keys: good, Want: missing, Calls: calls(getHeaders, exit)},
		{Name: "query", Policy: onlyQuery, Request: query("a=1&X%2dAPI-Key=" + key.Text + "&b"), Keys: good, Want: keptQuery, Calls: calls(getHeaders, getQuery, setQuery, setUpstream)},
		{Name: "query, shown", Policy: with("key_in_query", true, "hide_credentials", false), Request: query("X-API-Key=" + key.Text), Keys: good, Want: shownQuery, Calls: calls(getHeaders, getQuery, setUpstream)},
		{Name: "query without a value", Policy: inQuery, Request: query("X-API-Key"), Want: missing, Calls: calls(getHeaders, getQuery, exit)},
		{Name: "query, an empty value", Policy: inQuery, Request: query("X-API-Key=&&="), Want: missing, Calls: calls(getHeaders, getQuery, exit)},
	}
}

// crowded is a request with as many headers as Kong hands out, and these behind
// them.
func crowded(pairs ...string) kongtest.Request {
	return kongtest.Request{Headers: append(slices.Repeat(headers("A", ""), 1000), headers(pairs...)...)}
}

// strictness are the policies under which the plugin looks everywhere.
func strictness() []Case {
	key, other, bad := Issue(nil), Issue(nil), Issue(revoked)
	two := []Key{key, other}
	strict := with("strict_credentials", true)
	both := with("strict_credentials", true, "key_in_query", true)
	open := with("anonymous", true)
	ambiguous := refused(apikey.AmbiguousCredential)
	usual := calls(getHeaders, setUpstream)
	return []Case{
		{Name: "strict", Policy: strict, Request: sent("X-API-Key", key.Text), Keys: two, Want: allowed(key), Calls: usual},
		{Name: "strict, underscore form", Policy: strict, Request: sent("X-API_Key", key.Text), Keys: two, Want: allowed(key), Calls: usual},
		{Name: "strict, repeated", Policy: strict, Request: sent("X-API-Key", key.Text, "X-API-Key", key.Text), Keys: two, Want: ambiguous, Calls: calls(getHeaders, exit)},
		{Name: "strict, two forms", Policy: strict, Request: sent("X-API-Key", key.Text, "X-API_Key", other.Text), Keys: two, Want: ambiguous, Calls: calls(getHeaders, exit)},
		{Name: "strict, two places", Policy: strict, Request: sent("X-API-Key", key.Text, "Authorization", "Bearer "+other.Text), Keys: two, Want: ambiguous, Calls: calls(getHeaders, exit)},
		{Name: "strict, header and query", Policy: both, Request: kongtest.Request{Headers: headers("X-API-Key", key.Text), Query: "X-API-Key=" + other.Text}, Keys: two, Want: ambiguous,
			Calls: calls(getHeaders, getQuery, exit)},
		{Name: "strict, another's Authorization", Policy: strict, Request: sent("X-API-Key", key.Text, "Authorization", "Basic x"), Keys: two, Want: allowed(key, "Authorization", "Basic x"), Calls: usual},
		{Name: "strict, none", Policy: strict, Request: sent("Accept", "*/*"), Want: refused(apikey.MissingCredential), Calls: calls(getHeaders, exit)},
		{Name: "strict, more than Kong tells", Policy: strict, Request: crowded("X-API-Key", key.Text), Keys: two, Want: ambiguous, Calls: calls(getHeaders, exit)},
		{Name: "anonymous", Policy: open, Request: sent("Accept", "*/*"), Want: anonymous("Accept", "*/*"), Calls: usual},
		{Name: "anonymous, more than Kong tells", Policy: open, Request: crowded(), Want: ambiguous, Calls: calls(getHeaders, exit)},
		{Name: "anonymous, a good key", Policy: open, Request: sent("X-API-Key", key.Text), Keys: two, Want: allowed(key), Calls: usual},
		{Name: "anonymous, a bad key", Policy: open, Request: sent("X-API-Key", bad.Text), Keys: []Key{bad}, Want: refusedTo(bad, apikey.Revoked), Calls: calls(getHeaders, exit)},
		{Name: "anonymous, a hidden key", Policy: open, Request: sent("X_API_Key", key.Text, "X_API_Key", other.Text), Keys: two, Want: ambiguous, Calls: calls(getHeaders, exit)},
	}
}

// policies are what else a policy may ask, and policies that are wrong.
func policies() []Case {
	key := Issue(nil)
	good := []Key{key}
	ruled := Issue(func(r *apikey.Record) {
		r.Key.AllowCIDRs = apikey.NewCIDRs(netip.MustParsePrefix("192.0.2.0/24"))
		r.Key.AllowMethods, r.Key.AllowPaths = apikey.NewStrings("GET"), apikey.NewStrings("/reports")
	})
	rules := func(path, ip string) kongtest.Request {
		return kongtest.Request{Headers: headers("X-API-Key", ruled.Text), Path: path, ClientIP: ip}
	}
	lacking := refusedTo(key, apikey.InsufficientScope)
	lacking.MissingScope = "admin"
	request, usual := sent("X-API-Key", key.Text), calls(getHeaders, setUpstream)
	return []Case{
		{Name: "rules of the key", Policy: with(), Request: rules("/reports/7", ""), Keys: []Key{ruled}, Want: allowed(ruled), Calls: calls(getHeaders, getIP, getMethod, getPath, setUpstream)},
		{Name: "rules of the key, broken", Policy: with(), Request: rules("", "198.51.100.1"), Keys: []Key{ruled}, Want: refusedTo(ruled, apikey.IPNotAllowed), Calls: calls(getHeaders, getIP, exit)},
		{Name: Authenticated, Policy: with("authenticate", true), Request: request, Keys: good, Want: allowed(key), Calls: calls(getHeaders, authenticate, setUpstream)},
		{Name: "one of the scopes", Policy: Policy{"scopes_any": []string{"x", "reports:write"}}, Request: request, Keys: good, Want: allowed(key), Calls: usual},
		{Name: "lacks the scope", Policy: Policy{"scopes": []string{"admin"}}, Request: request, Keys: good, Want: lacking, Calls: calls(getHeaders, exit)},
		{Name: "another environment", Policy: with("environment", "test"), Request: request, Keys: good, Want: refusedTo(key, apikey.EnvironmentMismatch), Calls: calls(getHeaders, exit)},
		{Name: "another realm", Policy: with("realm", "My API"), Request: sent("Accept", "*/*"), Want: refused(apikey.MissingCredential)},
		{Name: WrongPolicy, Policy: Policy{
			"key_names": []string{"Cookie"}, "scopes": []string{"NO"}, "environment": "staging", "realm": `a"b`,
		}, Request: request, Keys: good, Want: fault(), Calls: calls(exit)},
		{Name: "a wrong policy, no key", Policy: Policy{"realm": `a"b`}, Want: fault(), Calls: calls(exit)},
	}
}

// Names of cases of which the model can tell more than the table says.
const (
	Authenticated = "authenticate"   // who Kong's own plugins are told
	WrongPolicy   = "a wrong policy" // what is in Kong's log
)
