package access

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPolicyDefaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config string
		change func(*Policy)
	}{
		"absent": {`{"__plugin_id":"p","route_id":"r","__seq__":1}`, nil},
		"null": {`{"key_names":null,"key_in_bearer":null,"key_in_query":null,"hide_credentials":null,"scopes":null,"scopes_any":null,
			"strict_credentials":null,"environment":null,"anonymous":null,"authenticate":null,"realm":null}`, nil},
		"empty lists of Lua": {`{"key_names":{},"scopes":{ }}`, func(p *Policy) { p.KeyNames, p.Scopes = Names{}, Names{} }},
		"given": {`{"key_names":["a","B_c"],"key_in_bearer":false,"key_in_query":true,"hide_credentials":false,"scopes":["a:b"],"scopes_any":["c","*"],
			"strict_credentials":true,"environment":"test","anonymous":true,"authenticate":true,"realm":"My API"}`, func(p *Policy) {
			*p = Policy{
				KeyNames: Names{"a", "B_c"}, KeyInQuery: true, Scopes: Names{"a:b"}, ScopesAny: Names{"c", "*"},
				StrictCredentials: true, Environment: "test", Anonymous: true, Authenticate: true, Realm: "My API",
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := strings.ReplaceAll(tc.config, "{ }", "{}")
			got, err := parsePolicy([]byte(config))
			if err != nil {
				t.Fatal(err)
			}
			want := Policy{KeyNames: Names{"X-API-Key"}, KeyInBearer: true, HideCredentials: true, Realm: "latchkey"}
			if tc.change != nil {
				tc.change(&want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPolicyFaults(t *testing.T) {
	t.Parallel()
	for config, want := range map[string][]string{
		`{"key_names":"X-API-Key"}`:                                          {"not the plugin's configuration"},
		`not JSON`:                                                           {"not the plugin's configuration"},
		`{"key_names":["Authorization"]}`:                                    {"key_in_bearer"},
		`{"key_names":["X_Consumer-ID"]}`:                                    {"means something else"},
		`{"key_names":["a","Host"]}`:                                         {"means something else"},
		`{"key_names":["a b"]}`:                                              {"want names"},
		`{"key_names":[""]}`:                                                 {"want names"},
		`{"key_names":["a-b-c-d-e-f"]}`:                                      {"want names"},
		`{"key_names":[],"key_in_bearer":false}`:                             {"at least one"},
		`{"key_names":[],"key_in_query":true}`:                               {"query arguments"},
		`{"key_names":["1","2","3","4","5","6","7","8","9"]}`:                {"at most 8"},
		`{"scopes":["A"],"scopes_any":["b c"],"environment":"x","realm":""}`: {"environment: ", "realm: ", "scopes: ", "scopes_any: "},
		`{"realm":"a\r\nb"}`:                                                 {"realm: "},
	} {
		_, err := parsePolicy([]byte(config))
		if err == nil {
			t.Errorf("%s: accepted", config)
			continue
		}
		parts := strings.Split(err.Error(), "; ")
		if len(parts) != len(want) {
			t.Errorf("%s: %q, want %q", config, parts, want)
			continue
		}
		for i := range want {
			if !strings.Contains(parts[i], want[i]) {
				t.Errorf("%s: %q, want %q", config, parts, want)
			}
		}
	}
}

func TestReadingCredentials(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"Bearer x": "x", "bearer x": "x", "BEARER   x ": "x", "Bearer": "", "Bearer ": "", "Bearer  ": "", "Bearerx": "", "Basic x": "", "": "", "Bearer a b": "a b",
	} {
		if got := string(bearerToken([]byte(value))); got != want {
			t.Errorf("%q: %q", value, got)
		}
	}
	for text, want := range map[string]string{"a": "a", "a+b": "a b", "%41%2b": "A+", "%": "%", "%4": "%4", "%zz": "%zz", "%fF": "\xff", "%00": "\x00"} {
		if got := unescape(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
