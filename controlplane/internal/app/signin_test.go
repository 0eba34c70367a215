package app_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

const (
	password = "correct horse battery"
	cookie   = "latchkey_session"
)

// clock is moved by the test.
type clock struct{ now atomic.Pointer[time.Time] }

func newClock() *clock {
	c := &clock{}
	start := time.Now()
	c.now.Store(&start)
	return c
}

func (c *clock) Now() time.Time { return *c.now.Load() }

func (c *clock) move(d time.Duration) {
	to := c.Now().Add(d)
	c.now.Store(&to)
}

// browser keeps the cookie of a replica, as a browser does.
type browser struct {
	*replica
	name, value string
}

func (r *replica) browser() *browser { return &browser{replica: r, name: cookie} }

// do sends a request as a page of the installation does, and keeps the cookie
// that comes back.
func (b *browser) do(method, path, body string, headers ...string) answer {
	b.t.Helper()
	headers = append([]string{"Sec-Fetch-Site", "same-origin"}, headers...)
	if b.value != "" {
		headers = append(headers, "Cookie", b.name+"="+b.value)
	}
	a := b.send(method, path, body, headers...)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		b.name, b.value = c.Name, c.Value
	}
	return a
}

// want fails the test unless the request is answered so.
func (b *browser) want(status int, method, path, body string, headers ...string) answer {
	b.t.Helper()
	a := b.do(method, path, body, headers...)
	if a.status != status {
		b.t.Fatalf("%s %s: %d, want %d: %s\n%s", method, path, a.status, status, a.raw, b.lastFailure())
	}
	return a
}

func credentials(username, password string) string {
	return fmt.Sprintf(`{"username":%q,"password":%q}`, username, password)
}

// signedIn makes a user with a role and signs it in.
func (r *replica) signedIn(admin, username, role string) (b *browser, id string) {
	r.t.Helper()
	id = r.call(admin, "POST", "/api/v1/users", m{"name": username, "username": username, "role": role}, 201).text("id")
	r.call(admin, "POST", "/api/v1/users/"+id+"/password", m{"password": password}, 204)
	b = r.browser()
	b.want(204, "POST", "/auth/v1/login/local", credentials(username, password))
	return b, id
}

// figure reads one figure of the replica.
func (r *replica) figure(name string) int {
	r.t.Helper()
	res, err := client.Get("http://" + r.app.OpsAddr() + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				r.t.Fatal(err)
			}
			return n
		}
	}
	r.t.Fatalf("there is no figure %s", name)
	return 0
}

// The set-up page: the token makes the first owner, who is signed in with it,
// goes out and comes back in.
func TestSetUpAndSignIn(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	token := r.setUpToken()
	b := r.browser()
	b.want(401, "POST", "/auth/v1/setup", credentials("ada", password))
	made := b.want(201, "POST", "/auth/v1/setup", credentials("Ada", password), "Authorization", "Bearer "+token)
	if made.text("username") != "ada" || made.text("role") != "owner" {
		t.Error(made.raw)
	}
	for _, attribute := range []string{cookie + "=", "; Path=/;", "; HttpOnly", "; SameSite=Lax", "; Max-Age=43200"} {
		if got := made.header.Get("Set-Cookie"); !strings.Contains(got, attribute) || strings.Contains(got, "Secure") || strings.Contains(got, "Domain") {
			t.Errorf("the cookie is %q", strings.Replace(got, b.value, "…", 1))
		}
	}
	if a := b.do("POST", "/auth/v1/setup", credentials("eve", password), "Authorization", "Bearer "+token); a.status != 401 || a.code() != "SETUP_CLOSED" {
		t.Errorf("a second owner: %d %s", a.status, a.raw)
	}
	me := b.want(200, "GET", "/api/v1/me", "")
	if me.text("user", "id") != made.text("id") || fmt.Sprint(me.get("scopes")) != "[*]" || me.get("session", "current") != true || me.header.Get("Cache-Control") != "no-store" {
		t.Error(me.raw)
	}
	b.want(201, "POST", "/api/v1/keys", `{"name":"first"}`)
	event := b.want(200, "GET", "/api/v1/audit-events", "").raw
	if !strings.Contains(event, `"user.create"`) || !strings.Contains(event, made.text("id")) {
		t.Error(event)
	}

	before := b.value
	if out := b.want(204, "POST", "/auth/v1/logout", ""); !strings.Contains(out.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Error("the cookie stays in the browser")
	}
	b.value = before
	if a := b.do("GET", "/api/v1/me", ""); a.status != 401 || a.code() != "SESSION_ENDED" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("after signing out: %d %s", a.status, a.raw)
	}
	b.want(204, "POST", "/auth/v1/logout", "")
	b.want(204, "POST", "/auth/v1/login/local", credentials("ADA", password))
	b.want(200, "GET", "/api/v1/me", "")
	if a := r.send("GET", "/auth/v1/providers", ""); a.status != 200 || a.get("data").([]any)[0].(map[string]any)["id"] != "local" {
		t.Error(a.raw)
	}
}

// Whatever makes a sign-in impossible has one answer, and one hash is computed
// for it.
func TestRefusalsLookAlike(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	r.signedIn(admin, "ada", "viewer")
	_, gone := r.signedIn(admin, "gone", "viewer")
	r.call(admin, "PATCH", "/api/v1/users/"+gone, m{"disabled": true}, 200)
	r.call(admin, "POST", "/api/v1/users", m{"name": "k", "username": "keyless"}, 201)
	var first string
	for _, c := range []struct{ name, username, password string }{
		{"wrong password", "ada", "correct horse batterx"},
		{"unknown user", "nobody", password},
		{"no password", "keyless", password},
		{"the built-in user", "default", password},
		{"disabled", "gone", password},
	} {
		hashes, refused := r.figure("latchkey_password_hashes_total"), r.figure(`latchkey_sign_ins_total{outcome="refused"}`)
		a := r.send("POST", "/auth/v1/login/local", credentials(c.username, c.password))
		text := strings.ReplaceAll(a.raw, a.text("request_id"), "")
		if first == "" {
			first = text
		}
		if a.status != 401 || a.code() != "WRONG_CREDENTIALS" || text != first || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s", c.name, a.status, a.raw)
		}
		if got := r.figure("latchkey_password_hashes_total") - hashes; got != 1 {
			t.Errorf("%s: %d hashes were computed", c.name, got)
		}
		if got := r.figure(`latchkey_sign_ins_total{outcome="refused"}`) - refused; got != 1 {
			t.Errorf("%s: counted %d times", c.name, got)
		}
	}
	for _, body := range []string{`{"password":"p"}`, `{"username":"a","email":"b","password":"p"}`, `{"username":"a"}`, `{}`} {
		if a := r.send("POST", "/auth/v1/login/local", body); a.status != 422 {
			t.Errorf("%s: %d %s", body, a.status, a.raw)
		}
	}
	if !strings.Contains(r.logs.String(), `"sign_in":"refused","user_id":"`+gone) {
		t.Error("the log does not say whose sign-in was refused")
	}
}

// Past ten attempts a network has to wait for an account, known or not, and
// nothing is hashed for it meanwhile; other networks and accounts do not wait.
func TestGuessingIsThrottled(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := startAt(t, pgtest.DSN(t), now.Now, "TRUSTED_PROXIES=127.0.0.1")
	admin := r.admin()
	r.signedIn(admin, "ada", "viewer")
	r.signedIn(admin, "bob", "viewer")
	try := func(username, password, from string) answer {
		return r.send("POST", "/auth/v1/login/local", credentials(username, password), "X-Forwarded-For", from)
	}
	for _, username := range []string{"ada", "nobody"} {
		for range 10 {
			if a := try(username, "wrong password", "192.0.2.1"); a.status != 401 {
				t.Fatalf("%s: %d %s", username, a.status, a.raw)
			}
		}
		hashes := r.figure("latchkey_password_hashes_total")
		for _, pass := range []string{"wrong password", password} {
			a := try(username, pass, "192.0.2.1")
			if a.status != 429 || a.code() != "TOO_MANY_ATTEMPTS" || a.header.Get("Retry-After") != "30" {
				t.Errorf("%s: %d %s %s", username, a.status, a.header.Get("Retry-After"), a.raw)
			}
		}
		if r.figure("latchkey_password_hashes_total") != hashes {
			t.Error("a throttled attempt was hashed")
		}
	}
	if a := try("bob", password, "192.0.2.1"); a.status != 204 {
		t.Errorf("another account: %d %s", a.status, a.raw)
	}
	if a := try("ada", password, "198.51.100.1"); a.status != 204 {
		t.Errorf("another network: %d %s", a.status, a.raw)
	}
	now.move(30 * time.Second)
	for range 12 { // a success gives everything back
		if a := try("ada", password, "192.0.2.1"); a.status != 204 {
			t.Fatalf("after its time: %d %s", a.status, a.raw)
		}
	}
	if r.figure(`latchkey_sign_ins_total{outcome="throttled"}`) != 4 {
		t.Error("the throttled ones were not counted")
	}
}

// A Secure cookie is set only where the browser would keep it; over plain HTTP
// the answer says what is wrong, before any password is looked at.
func TestSecureCookie(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t), "PUBLIC_URL=https://keys.example.com", "TRUSTED_PROXIES=127.0.0.1")
	admin := r.admin()
	id := r.call(admin, "POST", "/api/v1/users", m{"name": "a", "username": "ada"}, 201).text("id")
	r.call(admin, "POST", "/api/v1/users/"+id+"/password", m{"password": password}, 204)
	for name, test := range map[string]struct {
		headers []string
		status  int
	}{
		"plain HTTP":            {nil, 403},
		"plain by the proxy":    {[]string{"X-Forwarded-Proto", "http"}, 403},
		"TLS ends at the proxy": {[]string{"X-Forwarded-Proto", "https"}, 204},
		"a page by https":       {[]string{"Origin", "https://keys.example.com"}, 204},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := (&replica{t: t, url: r.url, logs: r.logs}).browser()
			a := b.want(test.status, "POST", "/auth/v1/login/local", credentials("ada", password), test.headers...)
			if test.status == 403 {
				if a.code() != "COOKIE_NEEDS_HTTPS" || !strings.Contains(a.raw, "TRUSTED_PROXIES") {
					t.Error(a.raw)
				}
				return
			}
			if got := a.header.Get("Set-Cookie"); !strings.HasPrefix(got, "__Host-"+cookie+"=") || !strings.Contains(got, "; Secure") {
				t.Errorf("the cookie is %q", strings.Replace(got, b.value, "…", 1))
			}
			b.want(200, "GET", "/api/v1/me", "")
		})
	}
}
