package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// Members see, renew and give up the API keys that they own, and nothing else:
// what is another's, or a management key, is not there.
func TestMyKeys(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	ada, id := r.signedIn(admin, "ada", "member")
	_, other := r.signedIn(admin, "bob", "operator")
	issue := func(owner string, more m) answer {
		return r.call(admin, "POST", "/api/v1/keys", with(m{"name": "ci", "owner_id": owner}, more), 201)
	}
	at := func(a answer) string { return "/api/v1/me/keys/" + a.text("key", "id") }
	k := issue(id, m{"scopes": []string{"reports:read"}, "deny_cidrs": []string{"203.0.113.0/24"}, "expires_in_days": 9, "label": "main"})

	hidden := map[string]string{
		"another's":        at(issue(other, nil)),
		"a management key": at(issue(id, m{"kind": "management", "scopes": []string{"keys:read"}})),
		"no such":          "/api/v1/me/keys/key_01a200b384db74eb8a6c7cc7d79ac7f3",
		"another kind":     "/api/v1/me/keys/" + id,
	}
	head := func() answer { return r.call(admin, "GET", "/api/v1/audit-events?limit=1", nil, 200) }
	before := head()
	for name, path := range hidden {
		for _, q := range [][2]string{{"GET", ""}, {"POST", "/rotate"}, {"POST", "/revoke"}} {
			if a := ada.do(q[0], path+q[1], ""); a.status != 404 {
				t.Errorf("%s, %s: %d %s", name, q, a.status, a.raw)
			}
		}
	}
	if another, none := ada.do("GET", hidden["another's"], ""), ada.do("GET", hidden["no such"], ""); another.text("detail") != none.text("detail") {
		t.Errorf("another's key is told from none: %s %s", another.raw, none.raw)
	}
	for _, path := range []string{"/restore", "/enable", "/disable"} {
		if a := ada.do("POST", at(k)+path, ""); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if head().raw != before.raw {
		t.Error("something was done")
	}
	if listed := ada.want(200, "GET", "/api/v1/me/keys", ""); len(ids(listed)) != 1 || ids(listed)[0] != k.text("key", "id") {
		t.Error(listed.raw)
	}

	if a := ada.do("POST", at(k)+"/rotate", `{"overlap_hours": 721}`); a.status != 422 {
		t.Errorf("%d %s", a.status, a.raw)
	}
	next := ada.want(201, "POST", at(k)+"/rotate", `{"overlap_hours": 2}`)
	for _, member := range []string{"name", "label", "owner_id", "expires_at"} {
		if next.get("key", member) != k.get("key", member) {
			t.Errorf("%s is another: %s", member, next.raw)
		}
	}
	if fmt.Sprint(next.get("key", "scopes"), next.get("key", "deny_cidrs")) != "[reports:read] [203.0.113.0/24]" || next.header.Get("Location") != at(next) || next.header.Get("Cache-Control") != "no-store" {
		t.Error(next.raw, next.header)
	}
	old := ada.want(200, "GET", at(k), "")
	if overlap := old.at(t, "retires_at").Sub(old.at(t, "updated_at")); overlap != 2*time.Hour {
		t.Errorf("the overlap is %v", overlap)
	}
	for _, secret := range []string{k.text("secret"), next.text("secret")} {
		r.expect(r.auth(secret), 200, "VALID")
	}
	if a := ada.do("POST", at(k)+"/rotate", ""); a.code() != "NOT_ROTATABLE" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	third := ada.want(201, "POST", at(next)+"/rotate", "")
	if renewed := ada.want(200, "GET", at(next), ""); renewed.at(t, "retires_at").Sub(renewed.at(t, "updated_at")) != 24*time.Hour {
		t.Error(renewed.raw)
	}
	if a := ada.want(200, "POST", at(k)+"/revoke", `{"reason": "superseded", "only": true}`); a.text("status") != "revoked" || a.text("revoke_reason") != "superseded" {
		t.Error(a.raw)
	}
	r.expect(r.auth(k.text("secret")), 401, "REVOKED")
	r.expect(r.auth(third.text("secret")), 200, "VALID")
	ada.want(200, "POST", at(next)+"/revoke", "")
	r.expect(r.auth(third.text("secret")), 401, "REVOKED")

	for _, event := range r.call(admin, "GET", "/api/v1/audit-events?actor_kind=user&actor_id="+id, nil, 200).get("data").([]any) {
		action := (answer{body: event.(m)}).text("action")
		if a := (answer{body: event.(m)}); a.text("actor", "name") != "ada" || !strings.HasPrefix(action, "key.") && action != "user.sign_in" {
			t.Errorf("%v", event)
		}
	}
	if n := len(r.call(admin, "GET", "/api/v1/audit-events?action=key.revoke&actor_id="+id, nil, 200).get("data").([]any)); n != 3 {
		t.Errorf("%d revocations are ada's", n)
	}
	r.call(admin, "GET", "/api/v1/me/keys", nil, 403)
}

// One's keys are found by status and text, in each order, page by page.
func TestMyKeysAreFound(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	ada, id := r.signedIn(admin, "ada", "member")
	for i, name := range []string{"bravo", "alpha", "delta", "charlie"} {
		k := r.call(admin, "POST", "/api/v1/keys", m{"name": name, "owner_id": id, "expires_in_days": 9 - i}, 201)
		r.call(admin, "POST", "/api/v1/keys", m{"name": name}, 201)
		if name == "delta" {
			r.call(admin, "POST", "/api/v1/keys/"+k.text("key", "id")+"/disable", nil, 200)
		}
	}
	for query, want := range map[string]string{
		"":                              "charlie delta alpha bravo",
		"sort=created_at":               "bravo alpha delta charlie",
		"sort=name":                     "alpha bravo charlie delta",
		"sort=-expires_at":              "bravo alpha delta charlie",
		"status=active&sort=name":       "alpha bravo charlie",
		"status=disabled":               "delta",
		"q=RAV":                         "bravo",
		"q=a&status=active":             "422",
		"owner_id=" + id:                "422",
		"sort=name&cursor=bm8gY3Vyc29y": "422",
	} {
		var names []string
		for next := ""; ; {
			a := ada.do("GET", "/api/v1/me/keys?limit=1&"+query+next, "")
			if a.status != 200 {
				names = append(names, fmt.Sprint(a.status))
				break
			}
			for _, k := range a.get("data").([]any) {
				names = append(names, answer{body: k.(m)}.text("name"))
			}
			if a.get("next_cursor") == nil {
				break
			}
			next = "&cursor=" + a.text("next_cursor")
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
