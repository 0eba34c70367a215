package app_test

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// A page of another site can do nothing with a browser's session, nor sign the
// browser in or out, nor come through a set-up window that is open to all.
func TestPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn, "PUBLIC_URL=http://keys.example.com")
	admin := r.admin()
	b, id := r.signedIn(admin, "ada", "owner")
	keys := func() int { return len(r.call(admin, "GET", "/api/v1/keys", nil, 200).get("data").([]any)) }
	before := keys()
	for name, from := range map[string][]string{
		"another site":      {"Sec-Fetch-Site", "cross-site"},
		"a subdomain":       {"Sec-Fetch-Site", "same-site"},
		"an older browser":  {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"a file":            {"Sec-Fetch-Site", "", "Origin", "null"},
		"says it is ours":   {"Sec-Fetch-Site", "cross-site", "Origin", "https://keys.example.com"},
		"something unknown": {"Sec-Fetch-Site", "x"},
	} {
		for _, request := range [][3]string{
			{"POST", "/api/v1/keys", `{"name":"k"}`},
			{"PATCH", "/api/v1/users/" + id, `{"name":"k"}`},
			{"DELETE", "/api/v1/me/sessions", ``},
			{"POST", "/api/v1/me/password", `{"current_password":"` + password + `","password":"another password"}`},
			{"POST", "/auth/v1/login/local", credentials("ada", password)},
			{"POST", "/auth/v1/logout", ``},
			{"POST", "/auth/v1/refresh", ``},
			{"POST", "/auth/v1/setup", credentials("eve", password)},
		} {
			a := b.do(request[0], request[1], request[2], from...)
			if a.status != 403 || a.code() != "CROSS_ORIGIN" || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %s %s: %d %s", name, request[0], request[1], a.status, a.raw)
			}
		}
		b.want(200, "GET", "/api/v1/me", "", from...) // reading is for CORS to forbid
	}
	if keys() != before {
		t.Error("a key was issued")
	}
	for name, from := range map[string][]string{
		"one of ours":          {"Sec-Fetch-Site", "same-origin"},
		"typed in":             {"Sec-Fetch-Site", "none"},
		"no browser":           {"Sec-Fetch-Site", ""},
		"ours, an older one":   {"Sec-Fetch-Site", "", "Origin", r.url},
		"ours, behind a proxy": {"Sec-Fetch-Site", "", "Origin", "http://keys.example.com"},
	} {
		if a := b.do("POST", "/api/v1/keys", `{"name":"k"}`, from...); a.status != 201 {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	// A management key is no cookie: whoever has it may call from anywhere.
	if a := r.send("POST", "/api/v1/keys", `{"name":"k"}`, "Authorization", "Bearer "+admin, "Sec-Fetch-Site", "cross-site"); a.status != 201 {
		t.Errorf("a management key: %d %s", a.status, a.raw)
	}
	// Where both are sent the key counts, and a bad one is not made up for.
	if a := b.do("GET", "/api/v1/me", "", "Authorization", "Bearer "+admin); a.status != 403 {
		t.Errorf("a key and a cookie: %d %s", a.status, a.raw)
	}
	if a := b.do("GET", "/api/v1/keys", "", "Authorization", "Bearer x"); a.status != 401 {
		t.Errorf("a bad key and a cookie: %d %s", a.status, a.raw)
	}

	open := start(t, pgtest.DSN(t), "BOOTSTRAP_OPEN=true")
	if a := open.send("POST", "/auth/v1/setup", credentials("eve", password), "Sec-Fetch-Site", "cross-site"); a.code() != "CROSS_ORIGIN" {
		t.Errorf("the open window: %d %s", a.status, a.raw)
	}
	open.browser().want(201, "POST", "/auth/v1/setup", credentials("ada", password), "Cookie", cookie+"="+strings.Repeat("A", 43))
}

// A role is no way to a higher one: by nobody's password, session or role.
func TestSignedInUsersStayBelowThoseAbove(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	key := r.admin()
	owner, ownerID := r.signedIn(key, "owner", "owner")
	admin, adminID := r.signedIn(key, "admin", "admin")
	operator, operatorID := r.signedIn(key, "operator", "operator")
	session := func(id string) string {
		return r.call(key, "GET", "/api/v1/sessions?user_id="+id, nil, 200).get("data").([]any)[0].(m)["id"].(string)
	}
	const word = `{"password":"another password"}`
	for _, c := range []struct {
		name         string
		by           *browser
		method, path string
		body         string
		status       int
	}{
		{"an owner's password", admin, "POST", "/api/v1/users/" + ownerID + "/password", word, 403},
		{"an owner's sessions", admin, "DELETE", "/api/v1/users/" + ownerID + "/sessions", "", 403},
		{"an owner's session", admin, "DELETE", "/api/v1/sessions/" + session(ownerID), "", 403},
		{"an owner's role", admin, "PATCH", "/api/v1/users/" + ownerID, `{"role":"member"}`, 403},
		{"one's own role", admin, "PATCH", "/api/v1/users/" + adminID, `{"role":"owner"}`, 403},
		{"another owner", admin, "POST", "/api/v1/users", `{"name":"n","role":"owner"}`, 403},
		{"a key with everything", admin, "POST", "/api/v1/keys", `{"name":"k","kind":"management","scopes":["*"]}`, 403},
		{"one's own password without the present one", admin, "POST", "/api/v1/users/" + adminID + "/password", word, 403},
		{"an owner's own, likewise", owner, "POST", "/api/v1/users/" + ownerID + "/password", word, 403},
		{"an operator sets a password", operator, "POST", "/api/v1/users/" + adminID + "/password", word, 403},
		{"an operator ends a session", operator, "DELETE", "/api/v1/sessions/" + session(adminID), "", 403},
		{"nobody's session", admin, "DELETE", "/api/v1/sessions/ses_01a200b384db74eb8a6c7cc7d79ac7f3", "", 404},
		{"nobody's password", admin, "POST", "/api/v1/users/usr_01a200b384db74eb8a6c7cc7d79ac7f3/password", word, 404},
		{"a second set-up", owner, "POST", "/auth/v1/setup", credentials("eve", password), 403},
		{"an operator's password, by an admin", admin, "POST", "/api/v1/users/" + operatorID + "/password", word, 204},
		{"an admin's, by an owner", owner, "POST", "/api/v1/users/" + adminID + "/password", word, 204},
	} {
		if a := c.by.do(c.method, c.path, c.body); a.status != c.status {
			t.Errorf("%s: %d, want %d: %s", c.name, a.status, c.status, a.raw)
		}
	}
	owner.want(200, "GET", "/api/v1/me", "")
}
