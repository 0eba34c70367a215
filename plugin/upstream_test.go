package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// owned are the headers that only the gateway may set.
var owned = []string{
	"X-Consumer-ID", "X-Consumer-Username", "X-Consumer-Custom-ID", "X-Credential-Identifier",
	"X-Authenticated-Scope", "X-Consumer-Groups", "Latchkey-Environment", "X-Anonymous-Consumer",
}

// writings returns every way to write a name that some upstream takes for it.
func writings(name string) []string {
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

// forged is a client that claims to be somebody, in every writing there is.
func forged() (all kongtest.Headers) {
	for _, name := range owned {
		for i, form := range writings(name) {
			if i%2 == 1 {
				form = strings.ToLower(form)
			}
			all = append(all, h(form, "forged", form, "twice")...)
		}
	}
	return all
}

func TestUpstreamSeesTheCallerAndNobodyElse(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	full := c.issue(nil)
	least := c.issue(func(r *apikey.Record) {
		r.User.Name, r.User.ExternalID, r.Subscription = "Zoë\r\nX-Consumer-ID: root", "", apikey.Subscription{}
		r.Key.Environment, r.Key.Scopes = apikey.Test, apikey.Strings{}
	})
	open := map[string]any{}
	for name, tc := range map[string]struct {
		policy map[string]any
		key    string
		want   map[string]string
	}{
		"everything known": {with(), full, map[string]string{
			"X-Consumer-ID": "usr_1", "X-Consumer-Username": "Ada", "X-Consumer-Custom-ID": "customer-7",
			"X-Credential-Identifier": "key_1", "X-Authenticated-Scope": "reports:read reports:write",
			"X-Consumer-Groups": "pro", "Latchkey-Environment": "live",
		}},
		"little known": {open, least, map[string]string{
			"X-Consumer-ID": "usr_1", "X-Consumer-Username": "Zoë%0D%0AX-Consumer-ID: root",
			"X-Credential-Identifier": "key_1", "Latchkey-Environment": "test",
		}},
		"nobody": {with("anonymous", true), "", map[string]string{"X-Anonymous-Consumer": "true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := forged()
			if tc.key != "" {
				headers = append(headers, h("X-API-Key", tc.key)...)
			}
			out := access(t, k.Route(tc.policy), kongtest.Request{Headers: append(headers, h("Accept", "*/*")...)})
			if !out.Allowed || out.Upstream.Get("Accept") != "*/*" {
				t.Fatalf("%+v", out)
			}
			for _, name := range owned {
				var want []string
				if v, set := tc.want[name]; set {
					want = []string{v}
				}
				if diff := cmp.Diff(want, out.Upstream.Loose(name)); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
		})
	}
}

func TestCredentialIsTakenOut(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	key := c.issue(nil)
	shown := with("hide_credentials", false)
	everywhere := with("key_in_query", true, "key_names", []string{"X-API-Key", "apikey"})
	for name, tc := range map[string]struct {
		policy map[string]any
		req    kongtest.Request
		left   kongtest.Headers // in any form, of what may hold a key
		query  string
	}{
		"header":            {with(), kongtest.Request{Headers: h("x-api-key", key)}, nil, ""},
		"underscores":       {with(), kongtest.Request{Headers: h("X_API_Key", key)}, nil, ""},
		"mixed":             {with(), kongtest.Request{Headers: h("X-API_Key", key)}, nil, ""},
		"every form":        {with(), kongtest.Request{Headers: h("X-API-Key", key, "x_api_key", key, "X_API-KEY", key, "x-api_key", key)}, nil, ""},
		"Bearer":            {with(), kongtest.Request{Headers: h("Authorization", "Bearer "+key)}, nil, ""},
		"another's Bearer":  {with(), kongtest.Request{Headers: h("X-API-Key", key, "Authorization", "Bearer x")}, h("Authorization", "Bearer x"), ""},
		"the other name":    {everywhere, kongtest.Request{Headers: h("apikey", key)}, nil, ""},
		"query":             {everywhere, kongtest.Request{Query: "b&apikey=" + key + "&a=%20+&c=1&c=2"}, nil, "b&a=%20+&c=1&c=2"},
		"query, escaped":    {everywhere, kongtest.Request{Query: "%61pikey=" + key}, nil, ""},
		"query, repeated":   {everywhere, kongtest.Request{Query: "apikey=" + key + "&a&X-API-Key=x&apikey"}, nil, "a"},
		"query, not wanted": {everywhere, kongtest.Request{Query: "apikey=x", Headers: h("X-API-Key", key)}, nil, "apikey=x"},
		"shown":             {shown, kongtest.Request{Headers: h("X-API-Key", key)}, h("X-API-Key", key), ""},
		"shown, as Bearer":  {shown, kongtest.Request{Headers: h("Authorization", "Bearer "+key)}, h("Authorization", "Bearer "+key), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := access(t, k.Route(tc.policy), tc.req)
			left := slices.DeleteFunc(slices.Clone(out.Upstream), func(e kongtest.Header) bool {
				return !strings.EqualFold(e.Name, "Authorization") && len(kongtest.Headers{e}.Loose("X-API-Key")) == 0 && !strings.EqualFold(e.Name, "apikey")
			})
			if !out.Allowed || out.Query != tc.query || !slices.Equal(left, tc.left) {
				t.Errorf("allowed %v, query %q, headers %v", out.Allowed, out.Query, left)
			}
		})
	}
	for _, l := range k.Logs() {
		if strings.Contains(l.Text, key[len(key)-20:]) {
			t.Errorf("a key is in the log: %s", l.Text)
		}
	}
}

func TestKongsOwnPluginsAreToldTheCaller(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	out := access(t, k.Route(with("authenticate", true)), kongtest.Request{Headers: h("X-API-Key", c.issue(nil))})
	want := kongtest.Caller{ConsumerID: "usr_1", Username: "Ada", CustomID: "customer-7", CredentialID: "key_1"}
	if !out.Allowed || out.Caller != want {
		t.Errorf("%+v", out.Caller)
	}
}

// Whatever a client sends where keys are looked for, it is never let through,
// and never a fault of ours.
func TestHostileCredentials(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	key := c.issue(nil)
	long := strings.Repeat("k", 8<<10)
	values := map[string]string{
		"8 KiB": long, "8 KiB behind a key": key + long, "CR LF": key + "\r\nX-Consumer-ID: root", "NUL": key[:20] + "\x00" + key[21:],
		"invalid UTF-8": "\xff\xfe", "key, then invalid UTF-8": key + "\xc3\x28", "comma": key + ", " + key, "space": key + " x",
		"list": `["` + key + `"]`, "SQL": "' OR 1=1; --", "controls": "\x01\x02\x7f", "management key": "lkm_" + key[8:], "another prefix": "xx" + key[2:],
	}
	routes := map[string]*kongtest.Route{}
	for _, strict := range []bool{false, true} {
		for _, anonymous := range []bool{false, true} {
			routes[fmt.Sprintf("strict %v, anonymous %v", strict, anonymous)] =
				k.Route(with("strict_credentials", strict, "anonymous", anonymous, "key_in_query", true))
		}
	}
	for kind, r := range routes {
		for name, v := range values {
			for place, req := range map[string]kongtest.Request{
				"header":     {Headers: h("X-API-Key", v)},
				"underscore": {Headers: h("x_api_key", v)},
				"repeated":   {Headers: h("X-API-Key", v, "X-API-Key", key)},
				"Bearer":     {Headers: h("Authorization", "Bearer "+v)},
				"query":      {Query: "X-API-Key=" + strings.NewReplacer("\r", "%0d", "\n", "%0a", " ", "%20").Replace(v)},
				"raw query":  {Query: "X-API-Key=" + v},
			} {
				out := access(t, r, req)
				if out.Allowed || out.Status != 401 && out.Status != 400 || out.Err != nil || out.Replays != 0 {
					t.Errorf("%s, %s in %s: %+v", kind, name, place, out)
				}
				if strings.Contains(string(out.Body), key[len(key)-20:]) {
					t.Errorf("%s, %s in %s: the key is repeated", kind, name, place)
				}
			}
		}
		for _, query := range []string{"X-API-Key", "X-API-Key&", "&&&", "=", "%", "X-API-Key=%", "%zz=%zz", "X-API-Key=%ff", strings.Repeat("a&", 4000), "\xff"} {
			out := access(t, r, kongtest.Request{Query: query})
			if out.Err != nil || out.Status == 500 || out.Allowed && out.Upstream.Get("X-Anonymous-Consumer") == "" {
				t.Errorf("%s, ?%.20s: %+v", kind, query, out)
			}
		}
	}
}
