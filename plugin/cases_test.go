package main_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/cases"
	"github.com/latchkey/latchkey/kong/kongtest"
)

// Every case of the table, asked twice: the second time of keys that are cached,
// so that the calls can be counted. Some cases have more to tell under the model.
func TestCases(t *testing.T) {
	t.Parallel()
	all, err := cases.All()
	if err != nil {
		t.Fatal(err)
	}
	k, c := start(t)
	t.Run("all", func(t *testing.T) {
		for _, tc := range all {
			c.Know(tc.Keys...)
			route := k.Route(t, tc.Policy)
			t.Run(tc.Name, func(t *testing.T) {
				t.Parallel()
				for _, cached := range []bool{false, true} {
					out := access(t, route, tc.Request)
					tc.Check(t, &out)
					if cached && tc.Calls != nil {
						if diff := cmp.Diff(tc.Calls, out.Calls); diff != "" {
							t.Error(diff)
						}
					}
					if tc.Name == cases.Authenticated {
						wantCaller(t, &tc, &out)
					}
				}
			})
		}
	})
	var log strings.Builder
	for _, l := range k.Logs() {
		log.WriteString(l.Text + "\n")
	}
	for _, tc := range all {
		for _, key := range tc.Keys {
			if strings.Contains(log.String(), key.Text[len(key.Text)-20:]) {
				t.Errorf("%s: a key is in the log", tc.Name)
			}
		}
	}
	wrong := logged(k.Kong, "every request gets 500")
	policies := 0
	for _, tc := range all {
		if tc.Want.Codes == nil && tc.Want.Problem == "" {
			policies++
		}
	}
	if len(wrong) != policies {
		t.Errorf("%d lines about %d wrong policies: %q", len(wrong), policies, wrong)
	}
}

// wantCaller looks for what Kong's own plugins are told.
func wantCaller(t *testing.T, tc *cases.Case, out *kongtest.Outcome) {
	t.Helper()
	r := tc.Want.Caller
	want := kongtest.Caller{ConsumerID: r.User.ID, Username: r.User.Name, CustomID: r.User.ExternalID, CredentialID: r.Key.ID}
	if out.Caller != want {
		t.Errorf("Kong is told of %+v, want %+v", out.Caller, want)
	}
}

// What is wrong with a policy stands in Kong's log once, in one line that names
// every field, and is that route's alone.
func TestWrongPolicy(t *testing.T) {
	t.Parallel()
	all, err := cases.All()
	if err != nil {
		t.Fatal(err)
	}
	k, c := start(t)
	for _, tc := range all {
		if tc.Name != cases.WrongPolicy {
			continue
		}
		c.Know(tc.Keys...)
		for range 3 {
			out := k.Ask(t, tc.Policy, tc.Request)
			tc.Check(t, &out)
		}
		if out := k.Ask(t, cases.Scoped(), tc.Request); !out.Allowed {
			t.Errorf("another route: %+v", out)
		}
	}
	lines := logged(k.Kong, "every request gets 500")
	if len(lines) != 1 || strings.Contains(lines[0], "\n") {
		t.Fatalf("%q, want one line", lines)
	}
	for _, field := range []string{"key_names: ", "scopes: ", "environment: ", "realm: "} {
		if !strings.Contains(lines[0], field) {
			t.Errorf("%q does not name %s", lines[0], field)
		}
	}
}

func TestControlPlaneThatAnswersBadly(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	cases.BadAnswers(t, k, c)
}

func TestControlPlaneThatIsAway(t *testing.T) {
	t.Parallel()
	k, c := start(t)
	cases.Away(t, k, c)
}
