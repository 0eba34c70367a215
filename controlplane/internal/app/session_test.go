package app_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// A session ends at its idle end unless it is refreshed, and then by its
// absolute one; a refreshed token is another, and the old one is nothing.
func TestASessionEndsAndIsRefreshed(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := startAt(t, pgtest.DSN(t), now.Now)
	b, _ := r.signedIn(r.admin(), "ada", "viewer")
	first := b.want(200, "GET", "/api/v1/me", "")
	now.move(11 * time.Hour)
	old := b.value
	b.want(204, "POST", "/auth/v1/refresh", "")
	if b.value == old {
		t.Error("the token is the same")
	}
	refreshed := b.want(200, "GET", "/api/v1/me", "")
	if refreshed.text("session", "id") != first.text("session", "id") || refreshed.text("session", "ends_at") != first.text("session", "ends_at") ||
		refreshed.text("session", "expires_at") <= first.text("session", "expires_at") {
		t.Errorf("%s\n%s", first.raw, refreshed.raw)
	}
	stale := &browser{replica: r, name: cookie, value: old}
	if a := stale.do("GET", "/api/v1/me", ""); a.code() != "SESSION_ENDED" {
		t.Errorf("the old token: %d %s", a.status, a.raw)
	}
	if a := stale.do("POST", "/auth/v1/refresh", ""); a.status != 401 || a.code() != "SESSION_ENDED" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("the old token is refreshed: %d %s", a.status, a.raw)
	}
	now.move(12*time.Hour - time.Second)
	b.want(200, "GET", "/api/v1/me", "")
	now.move(time.Second)
	if a := b.do("GET", "/api/v1/me", ""); a.code() != "SESSION_ENDED" {
		t.Errorf("past its idle end: %d %s", a.status, a.raw)
	}
}

// Whatever cookie a browser brought, it leaves with a token that was made for
// it, and the session that it came with is over.
func TestFixation(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	eve, _ := r.signedIn(admin, "eve", "viewer")
	r.signedIn(admin, "ada", "viewer")
	for name, planted := range map[string]string{"made up": strings.Repeat("A", 43), "another's session": eve.value, "no token": "x"} {
		b := &browser{replica: r, name: cookie, value: planted}
		b.want(204, "POST", "/auth/v1/login/local", credentials("ada", password))
		if b.value == planted {
			t.Errorf("%s: it was taken on", name)
		}
		if me := b.want(200, "GET", "/api/v1/me", ""); me.text("user", "username") != "ada" {
			t.Errorf("%s: %s", name, me.raw)
		}
		if a := (&browser{replica: r, name: cookie, value: planted}).do("GET", "/api/v1/me", ""); a.status != 401 {
			t.Errorf("%s: the planted one is good: %d", name, a.status)
		}
	}
	b, _ := r.signedIn(admin, "bob", "viewer")
	b.value += "; " + cookie + "=" + strings.Repeat("A", 43)
	if a := b.do("GET", "/api/v1/me", ""); a.status != 401 {
		t.Errorf("two cookies: %d %s", a.status, a.raw)
	}
}

// What a session may do is what its user's role allows now; it dies with the
// user's disabling for good, and with another password.
func TestASessionFollowsItsUser(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	b, id := r.signedIn(admin, "ada", "viewer")
	at := "/api/v1/users/" + id
	if a := b.do("POST", "/api/v1/keys", `{"name":"k"}`); a.status != 403 || !strings.Contains(a.raw, "keys:write") {
		t.Errorf("a viewer issues a key: %d %s", a.status, a.raw)
	}
	r.call(admin, "PATCH", at, m{"role": "operator"}, 200)
	b.want(201, "POST", "/api/v1/keys", `{"name":"k"}`)
	r.call(admin, "PATCH", at, m{"role": "member"}, 200)
	if a := b.do("GET", "/api/v1/keys", ""); a.status != 403 {
		t.Errorf("a member lists keys: %d %s", a.status, a.raw)
	}
	if me := b.want(200, "GET", "/api/v1/me", ""); fmt.Sprint(me.get("scopes")) != "[]" || me.text("user", "role") != "member" {
		t.Error(me.raw)
	}
	for _, end := range []func(){
		func() {
			r.call(admin, "PATCH", at, m{"disabled": true}, 200)
			r.call(admin, "PATCH", at, m{"disabled": false}, 200)
		},
		func() { r.call(admin, "POST", at+"/password", m{"password": password}, 204) },
		func() { r.call(admin, "DELETE", at+"/sessions", nil, 204) },
		func() {
			list := r.call(admin, "GET", "/api/v1/sessions?user_id="+id, nil, 200).get("data").([]any)
			r.call(admin, "DELETE", "/api/v1/sessions/"+list[0].(m)["id"].(string), nil, 204)
		},
	} {
		b.want(200, "GET", "/api/v1/me", "")
		end()
		if a := b.do("GET", "/api/v1/me", ""); a.code() != "SESSION_ENDED" {
			t.Errorf("%d %s", a.status, a.raw)
		}
		b.want(204, "POST", "/auth/v1/login/local", credentials("ada", password))
	}
	audit := r.call(admin, "GET", "/api/v1/audit-events?limit=200", nil, 200).raw
	for _, action := range []string{"user.set_password", "user.end_sessions", "user.end_session"} {
		if !strings.Contains(audit, `"`+action+`"`) {
			t.Errorf("%s is not in the journal", action)
		}
	}
}

// One's own password is changed with the present one: other sessions end, this
// browser goes on with a new token. Guessing at it is throttled like signing in.
func TestChangingOnesPassword(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	here, _ := r.signedIn(r.admin(), "ada", "member")
	there := r.browser()
	there.want(204, "POST", "/auth/v1/login/local", credentials("ada", password))
	const next = "another good password"
	change := func(present, next string) string {
		return fmt.Sprintf(`{"current_password":%q,"password":%q}`, present, next)
	}
	if a := here.do("POST", "/api/v1/me/password", change("wrong password", next)); a.status != 422 || !strings.Contains(a.raw, "body.current_password") {
		t.Errorf("%d %s", a.status, a.raw)
	}
	here.want(422, "POST", "/api/v1/me/password", change(password, "short"))
	there.want(200, "GET", "/api/v1/me", "")
	before := here.value
	here.want(204, "POST", "/api/v1/me/password", change(password, next))
	here.want(200, "GET", "/api/v1/me", "")
	for _, old := range []string{before, there.value} {
		if a := (&browser{replica: r, name: cookie, value: old}).do("GET", "/api/v1/me", ""); a.code() != "SESSION_ENDED" {
			t.Errorf("an older session: %d %s", a.status, a.raw)
		}
	}
	there.want(401, "POST", "/auth/v1/login/local", credentials("ada", password))
	there.want(204, "POST", "/auth/v1/login/local", credentials("ada", next))
	for range 10 {
		here.want(422, "POST", "/api/v1/me/password", change("wrong password", next))
	}
	if a := here.do("POST", "/api/v1/me/password", change(next, password)); a.status != 429 {
		t.Errorf("%d %s", a.status, a.raw)
	}
}

func TestOnesSessions(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	here, _ := r.signedIn(admin, "ada", "member")
	there, elsewhere := r.browser(), r.browser()
	there.want(204, "POST", "/auth/v1/login/local", credentials("ada", password), "User-Agent", "Lynx/2.9")
	elsewhere.want(204, "POST", "/auth/v1/login/local", credentials("ada", password))
	eve, _ := r.signedIn(admin, "eve", "member")

	list := here.want(200, "GET", "/api/v1/me/sessions", "").get("data").([]any)
	if len(list) != 3 || list[2].(m)["current"] != true || list[0].(m)["current"] != false || list[1].(m)["user_agent"] != "Lynx/2.9" || list[1].(m)["address"] != "127.0.0.1" {
		t.Fatalf("%v", list)
	}
	page := here.want(200, "GET", "/api/v1/me/sessions?limit=2", "")
	if rest := here.want(200, "GET", "/api/v1/me/sessions?limit=2&cursor="+page.text("next_cursor"), ""); len(rest.get("data").([]any)) != 1 {
		t.Error(rest.raw)
	}
	at := "/api/v1/me/sessions/" + list[1].(m)["id"].(string)
	others := eve.want(404, "DELETE", at, "")
	there.want(200, "GET", "/api/v1/me", "")
	here.want(204, "DELETE", at, "")
	over, none := here.want(404, "DELETE", at, ""), here.want(404, "DELETE", "/api/v1/me/sessions/ses_01a200b384db74eb8a6c7cc7d79ac7f3", "")
	if others.text("detail") != none.text("detail") || over.text("detail") != none.text("detail") {
		t.Errorf("another's session, one that is over and none are told apart: %s %s %s", others.raw, over.raw, none.raw)
	}
	there.want(401, "GET", "/api/v1/me", "")
	here.want(204, "DELETE", "/api/v1/me/sessions", "")
	elsewhere.want(401, "GET", "/api/v1/me", "")
	here.want(200, "GET", "/api/v1/me", "")
	eve.want(200, "GET", "/api/v1/me", "")
}

// No password and no token is in an answer, a log line or the database.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	b, id := r.signedIn(admin, "ada", "owner")
	secrets := map[string]string{"the password": password, "the token": b.value}
	var said strings.Builder
	for _, a := range []answer{
		b.want(200, "GET", "/api/v1/me", ""), b.want(200, "GET", "/api/v1/me/sessions", ""), b.want(200, "GET", "/api/v1/sessions", ""),
		b.want(200, "GET", "/api/v1/users/"+id, ""), b.want(200, "GET", "/api/v1/audit-events?limit=200", ""),
		b.do("POST", "/auth/v1/login/local", `{"username":"`+password+`","password":"`+password+`"}`),
		b.do("POST", "/auth/v1/login/local", `{"username":"ada","password":["`+password+`"]}`),
		b.do("POST", "/auth/v1/login/local", `{"username":"ada","`+password+`":1}`),
		b.do("GET", "/api/v1/me/sessions/"+b.value, ""), b.do("DELETE", "/api/v1/me/sessions/"+b.value, ""),
	} {
		said.WriteString(a.raw)
	}
	b.want(204, "POST", "/auth/v1/refresh", "")
	secrets["the refreshed token"] = b.value
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var stored string
	err = conn.QueryRow(t.Context(), `SELECT concat((SELECT string_agg(s::text, ' ') FROM sessions s),
		(SELECT string_agg(u::text, ' ') FROM users u), (SELECT string_agg(a::text, ' ') FROM audit_events a))`).Scan(&stored)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(b.value))
	if !strings.Contains(stored, hex.EncodeToString(digest[:])) {
		t.Error("the session is not stored by its digest")
	}
	for name, secret := range secrets {
		for place, text := range map[string]string{"an answer": said.String(), "the log": r.logs.String(), "the database": stored} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %s", name, place)
			}
		}
	}
	if strings.Contains(said.String()+r.logs.String(), "argon2id") {
		t.Error("a hash got out")
	}
}
