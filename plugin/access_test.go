package main_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// The calls into Kong, by short names.
const (
	getHeader    = "kong.request.get_header"
	getHeaders   = "kong.request.get_headers"
	getQuery     = "kong.request.get_raw_query"
	getIP        = "kong.client.get_forwarded_ip"
	getMethod    = "kong.request.get_method"
	getPath      = "kong.request.get_path_with_query"
	setUpstream  = "kong.service.request.set_headers"
	setQuery     = "kong.service.request.set_raw_query"
	authenticate = "kong.client.authenticate"
	exit         = "kong.response.exit"
)

// with adds to the policy that every test has.
func with(pairs ...any) map[string]any {
	p := map[string]any{"scopes": []string{"reports:read"}}
	for i := 0; i < len(pairs); i += 2 {
		p[pairs[i].(string)] = pairs[i+1]
	}
	return p
}

// Calls are the budget: this is what each kind of request costs once the record
// is cached, and which header, argument or code it ends with.
func TestCalls(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	good, other := c.issue(nil), c.issue(nil)
	revoked := c.issue(func(r *apikey.Record) { r.Key.RevokedAt = 1 })
	ruled := c.issue(func(r *apikey.Record) {
		r.Key.AllowCIDRs = apikey.NewCIDRs(netip.MustParsePrefix("192.0.2.0/24"))
		r.Key.AllowMethods, r.Key.AllowPaths = apikey.NewStrings("GET"), apikey.NewStrings("/reports")
	})
	warm := k.Route(scoped)
	for _, key := range []string{good, other, revoked, ruled} {
		access(t, warm, kongtest.Request{Headers: h("X-API-Key", key), Path: "/reports"})
	}
	query := func(raw string) kongtest.Request { return kongtest.Request{Query: raw} }
	headers := func(pairs ...string) kongtest.Request { return kongtest.Request{Headers: h(pairs...)} }
	for name, tc := range map[string]struct {
		policy map[string]any
		req    kongtest.Request
		code   string // of a refusal
		calls  []string
	}{
		"the usual place":        {with(), headers("X-API-Key", good), "", []string{getHeader, setUpstream}},
		"underscore form":        {with(), headers("x_api_key", good), "", []string{getHeader, setUpstream}},
		"repeated":               {with(), headers("X-API-Key", good, "X-API-Key", revoked), "", []string{getHeader, setUpstream}},
		"the second place":       {with(), headers("authorization", "bEARER  "+good), "", []string{getHeader, getHeader, setUpstream}},
		"another name":           {with("key_names", []string{"apikey"}), headers("apikey", good), "", []string{getHeader, setUpstream}},
		"only Bearer":            {with("key_names", []string{}), headers("Authorization", "Bearer "+good), "", []string{getHeader, setUpstream}},
		"empty object as a list": {with("key_names", nil, "scopes_any", nil), headers("X-API-Key", good), "", []string{getHeader, setUpstream}},
		"refused":                {with(), headers("X-API-Key", revoked), "REVOKED", []string{getHeader, exit}},
		"malformed":              {with(), headers("X-API-Key", "x"), "MALFORMED", []string{getHeader, exit}},
		"none":                   {with(), headers("Accept", "*/*"), "MISSING_CREDENTIAL", []string{getHeader, getHeader, exit}},
		"another scheme":         {with(), headers("Authorization", "Basic "+good), "MISSING_CREDENTIAL", []string{getHeader, getHeader, exit}},
		"Bearer not asked for":   {with("key_in_bearer", false), headers("Authorization", "Bearer "+good), "MISSING_CREDENTIAL", []string{getHeader, exit}},
		"first name wins":        {with(), headers("X-API-Key", "x", "Authorization", "Bearer "+good), "MALFORMED", []string{getHeader, exit}},
		"query not asked for":    {with(), query("X-API-Key=" + good), "MISSING_CREDENTIAL", []string{getHeader, getHeader, exit}},
		"query": {with("key_in_query", true, "key_in_bearer", false), query("a=1&X%2dAPI-Key=" + good + "&b"), "",
			[]string{getHeader, getQuery, setQuery, setUpstream}},
		"query, shown":             {with("key_in_query", true, "hide_credentials", false), query("X-API-Key=" + good), "", []string{getHeader, getHeader, getQuery, setUpstream}},
		"query without a value":    {with("key_in_query", true), query("X-API-Key"), "MISSING_CREDENTIAL", []string{getHeader, getHeader, getQuery, exit}},
		"query, an empty value":    {with("key_in_query", true), query("X-API-Key=&&="), "MISSING_CREDENTIAL", []string{getHeader, getHeader, getQuery, exit}},
		"rules of the key":         {with(), kongtest.Request{Headers: h("X-API-Key", ruled), Path: "/reports/7"}, "", []string{getHeader, getIP, getMethod, getPath, setUpstream}},
		"rules of the key, broken": {with(), kongtest.Request{Headers: h("X-API-Key", ruled), ClientIP: "198.51.100.1"}, "IP_NOT_ALLOWED", []string{getHeader, getIP, exit}},
		"strict":                   {with("strict_credentials", true), headers("X-API-Key", good), "", []string{getHeaders, setUpstream}},
		"strict, repeated":         {with("strict_credentials", true), headers("X-API-Key", good, "X-API-Key", good), "AMBIGUOUS_CREDENTIAL", []string{getHeaders, exit}},
		"strict, two forms":        {with("strict_credentials", true), headers("X-API-Key", good, "X-API_Key", other), "AMBIGUOUS_CREDENTIAL", []string{getHeaders, exit}},
		"strict, two places":       {with("strict_credentials", true), headers("X-API-Key", good, "Authorization", "Bearer "+other), "AMBIGUOUS_CREDENTIAL", []string{getHeaders, exit}},
		"strict, header and query": {with("strict_credentials", true, "key_in_query", true), kongtest.Request{Headers: h("X-API-Key", good), Query: "X-API-Key=" + other}, "AMBIGUOUS_CREDENTIAL",
			[]string{getHeaders, getQuery, exit}},
		"strict, another's Authorization": {with("strict_credentials", true), headers("X-API-Key", good, "Authorization", "Basic x"), "", []string{getHeaders, setUpstream}},
		"strict, none":                    {with("strict_credentials", true), headers("Accept", "*/*"), "MISSING_CREDENTIAL", []string{getHeaders, exit}},
		"strict, more than Kong tells":    {with("strict_credentials", true), kongtest.Request{Headers: append(slices.Repeat(h("A", "b"), 1000), h("X-API-Key", good)...)}, "AMBIGUOUS_CREDENTIAL", []string{getHeaders, exit}},
		"anonymous":                       {with("anonymous", true), headers("Accept", "*/*"), "", []string{getHeader, getHeader, getHeaders, setUpstream}},
		"anonymous, a good key":           {with("anonymous", true), headers("X-API-Key", good), "", []string{getHeader, setUpstream}},
		"anonymous, a bad key":            {with("anonymous", true), headers("X-API-Key", revoked), "REVOKED", []string{getHeader, exit}},
		"anonymous, a hidden key":         {with("anonymous", true), headers("X_API_Key", good, "X_API_Key", other), "AMBIGUOUS_CREDENTIAL", []string{getHeader, getHeader, getHeaders, exit}},
		"authenticate":                    {with("authenticate", true), headers("X-API-Key", good), "", []string{getHeader, authenticate, setUpstream}},
		"one of the scopes":               {map[string]any{"scopes_any": []string{"x", "reports:write"}}, headers("X-API-Key", good), "", []string{getHeader, setUpstream}},
		"no such scope":                   {map[string]any{"scopes": []string{"admin"}}, headers("X-API-Key", good), "INSUFFICIENT_SCOPE", []string{getHeader, exit}},
		"another environment":             {with("environment", "test"), headers("X-API-Key", good), "ENVIRONMENT_MISMATCH", []string{getHeader, exit}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := access(t, k.Route(tc.policy), tc.req)
			if diff := cmp.Diff(tc.calls, out.Calls); diff != "" || out.Err != nil {
				t.Errorf("%v %s", out.Err, diff)
			}
			if out.Allowed != (tc.code == "") || !out.Allowed && !strings.Contains(string(out.Body), fmt.Sprintf("%q", tc.code)) {
				t.Errorf("%+v %s", out, out.Body)
			}
		})
	}
}

// A look-up costs one call more, for the client's address, and only the first.
func TestFirstRequestAsksForTheAddress(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	r := k.Route(scoped)
	req := kongtest.Request{Headers: h("X-API-Key", c.issue(nil))}
	for _, want := range [][]string{{getHeader, getIP, setUpstream}, {getHeader, setUpstream}} {
		if diff := cmp.Diff(want, access(t, r, req).Calls); diff != "" {
			t.Error(diff)
		}
	}
}

// A route without scopes is told of once, whichever worker meets it, and again
// neither after a change of Kong's configuration.
func TestRouteWithoutScopesIsToldOnce(t *testing.T) {
	t.Parallel()
	c := newControlPlane(t, "")
	k := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, ".", "latchkey-auth"), Env: environment(c.URL), Workers: 3})
	await(t, k, 401)
	r := k.Route(nil)
	for range 6 {
		access(t, r, kongtest.Request{})
		k.RestartInstances()
	}
	if lines := logged(k, "asks for no scopes"); len(lines) != 1 || !strings.HasPrefix(lines[0], "warn: ") {
		t.Errorf("%q", lines)
	}
}
