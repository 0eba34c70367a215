package access

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// taken is what a policy makes of headers, given as names and values in turn.
func taken(p Policy, pairs ...string) *sent {
	s := &sent{h: &handler{policy: p, meanings: meanings(&p)}}
	for i := 0; i < len(pairs); i += 2 {
		s.visit([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	return s
}

func TestWhichCredentialCounts(t *testing.T) {
	t.Parallel()
	policy := defaults()
	policy.KeyNames = Names{"X-API-Key", "x_api_key", "other_name"}
	for name, tc := range map[string]struct {
		sent   []string
		first  credential
		hidden bool
		many   bool // where the policy is strict
	}{
		"none":                    {[]string{"accept", "*/*", "authorization", "Basic x"}, credential{}, false, false},
		"one":                     {[]string{"x-api-key", "a"}, credential{text: "a"}, false, false},
		"an underscore form":      {[]string{"x-api_key", "a"}, credential{text: "a"}, false, false},
		"the policy's own form":   {[]string{"other_name", "a"}, credential{text: "a"}, false, false},
		"repeated":                {[]string{"x-api-key", "a", "x-api-key", "b"}, credential{text: "a"}, false, true},
		"behind an empty one":     {[]string{"x-api-key", "", "x-api-key", "b"}, credential{text: "b"}, false, false},
		"dashes first":            {[]string{"x_api_key", "a", "x_api-key", "c", "x-api-key", "b"}, credential{text: "b"}, true, true},
		"empty dashes":            {[]string{"x_api_key", "a", "x-api-key", ""}, credential{text: "a"}, false, false},
		"underscores, repeated":   {[]string{"x_api_key", "a", "x_api_key", "b"}, credential{}, true, true},
		"the policy's order":      {[]string{"authorization", "Bearer c", "other-name", "b", "x-api-key", "a"}, credential{text: "a"}, false, true},
		"Bearer last":             {[]string{"authorization", "Bearer c", "x-api-key", ""}, credential{text: "c", bearer: true}, false, false},
		"Bearer behind another":   {[]string{"authorization", "Basic b", "authorization", "bearer c"}, credential{text: "c", bearer: true}, false, false},
		"several Bearers":         {[]string{"authorization", "Bearer a", "authorization", "Bearer b"}, credential{text: "a", bearer: true}, false, true},
		"longer than any name":    {[]string{"x-api_key" + strings.Repeat("_", longest), "a"}, credential{}, false, false},
		"a place behind a riddle": {[]string{"x_api_key", "a", "x_api_key", "b", "other-name", "c"}, credential{text: "c"}, true, true},
	} {
		s := taken(policy, tc.sent...)
		only := s.only()
		if got := s.first(); got != tc.first || s.hidden() != tc.hidden || only.many != tc.many || !tc.many && only != tc.first {
			t.Errorf("%s: %+v, hidden %v, only %+v", name, got, s.hidden(), only)
		}
	}
}

// Whatever a client writes for an identity header or a key is noted, once, under
// the name that it was sent by.
func TestWhatTheUpstreamMayNotSee(t *testing.T) {
	t.Parallel()
	policy := defaults()
	s := taken(policy,
		"x-consumer-id", "1", "x-consumer-id", "2", "x_consumer_id", "3", "x_consumer_id", "4", "x-consumer_custom-id", "", "latchkey_environment", "live",
		"x-api-key", "a", "x-api-key", "b", "x_api-key", "", "accept", "*/*", "x-consumer", "5", "authorization", "Bearer c")
	want := []string{"x_consumer_id", "x-consumer_custom-id", "latchkey_environment", "x-api-key", "x_api-key"}
	if diff := cmp.Diff(want, s.forms); diff != "" || s.own != [identities]bool{consumerID: true} {
		t.Errorf("%s, own %v", diff, s.own)
	}
	policy.HideCredentials = false
	if s := taken(policy, "x-api-key", "a", "x_consumer-id", ""); !cmp.Equal(s.forms, []string{"x_consumer-id"}) {
		t.Errorf("shown credentials: %q", s.forms)
	}
}

func TestConnectionThatStripsAnIdentity(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"": false, ",": false, "close": false, "keep-alive, upgrade": false, "X-Consumer": false, "X-Consumer-ID2": false, "x-api-key": false,
		"X-Consumer-ID": true, "close,x_consumer_id": true, "a,\t X-ANONYMOUS-Consumer \t,b": true, ",,Latchkey_Environment": true,
	} {
		if s := taken(defaults(), "connection", value, "connection", "close"); s.strips != want {
			t.Errorf("%q: %v", value, s.strips)
		}
	}
}
