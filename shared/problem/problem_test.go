package problem_test

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/problem"
)

func TestEveryRefusalHasItsTexts(t *testing.T) {
	t.Parallel()
	if n := len(problem.Entries()); n != int(apikey.Valid) {
		t.Errorf("%d entries, want %d", n, apikey.Valid)
	}
	for _, c := range apikey.Codes() {
		e := problem.Of(c)
		if c == apikey.Valid {
			c = apikey.Undecided
		}
		if e.Code != c || e.Title == "" || e.Detail == "" || e.Fix == "" {
			t.Errorf("%v: %+v", c, e)
		}
	}
	if got := problem.Type("KEY_NOT_FOUND"); got != "/docs/errors/key-not-found" {
		t.Error(got)
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verdict apikey.Verdict
		scopes  []string
		want    string
	}{
		"no key":          {apikey.Verdict{Code: apikey.MissingCredential}, nil, `Bearer realm="r"`},
		"two keys":        {apikey.Verdict{Code: apikey.AmbiguousCredential}, nil, `Bearer realm="r", error="invalid_request"`},
		"revoked":         {apikey.Verdict{Code: apikey.Revoked}, nil, `Bearer realm="r", error="invalid_token"`},
		"all scopes":      {apikey.Verdict{Code: apikey.InsufficientScope, MissingScope: "b"}, []string{"a", "b"}, `Bearer realm="r", error="insufficient_scope", scope="a b"`},
		"one of":          {apikey.Verdict{Code: apikey.InsufficientScope, MissingScope: "c"}, []string{"a"}, `Bearer realm="r", error="insufficient_scope", scope="a c"`},
		"another address": {apikey.Verdict{Code: apikey.IPNotAllowed}, nil, ""},
		"not decided":     {apikey.Verdict{Code: apikey.Undecided}, nil, ""},
	} {
		if got := problem.Challenge("r", &c.verdict, &apikey.Request{Scopes: c.scopes}); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestDetailAndRetryAfter(t *testing.T) {
	t.Parallel()
	lacking := apikey.Verdict{Code: apikey.InsufficientScope, MissingScope: "a:b"}
	if got := problem.Detail(&lacking); got != "The key lacks the scope a:b." {
		t.Error(got)
	}
	if got := problem.Detail(&apikey.Verdict{Code: apikey.Revoked}); got != problem.Of(apikey.Revoked).Detail {
		t.Error(got)
	}
	for wait, want := range map[time.Duration]string{-1: "1", 0: "1", 1: "1", time.Second: "1", time.Second + 1: "2"} {
		if got := problem.RetryAfter(wait); got != want {
			t.Errorf("%v: %s", wait, got)
		}
	}
}
