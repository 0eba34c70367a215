package app_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// trailOf is what the request that a answers left in the audit log, the oldest
// first: actions, with the sessions before and after by the names they have here.
func (r *replica) trailOf(admin string, a answer, names map[string]string) (lines []string) {
	r.t.Helper()
	named := func(side any) string {
		trace, _ := side.(m)
		all, _ := trace["sessions"].([]any)
		if one, ok := trace["session"]; ok {
			all = append(all, one)
		}
		var words []string
		for _, id := range all {
			words = append(words, names[id.(string)])
		}
		return strings.Join(words, ",")
	}
	page := r.call(admin, "GET", "/api/v1/audit-events?request_id="+url.QueryEscape(a.header.Get("X-Request-Id")), nil, 200)
	for _, one := range slices.Backward(page.get("data").([]any)) {
		e := answer{body: one.(m)}
		lines = append(lines, fmt.Sprintf("%s by %s: %s to %s", e.text("action"), e.text("actor", "name"), named(e.get("before")), named(e.get("after"))))
		if e.text("target", "kind") != "user" || e.text("target", "name") != e.text("actor", "name") || e.text("address") != "127.0.0.1" {
			r.t.Errorf("%v", e.body)
		}
	}
	return lines
}

// Whatever users do to sessions of their own is in the audit log under the
// request, and found by the user and by the action. What was refused is not.
func TestSigningInIsAudited(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := startAt(t, pgtest.DSN(t), now.Now)
	admin := r.admin()
	here, ada := r.signedIn(admin, "ada", "member")
	there, lent := r.browser(), r.browser()
	names := map[string]string{}
	signedIn := func(b *browser, username, session string) answer {
		now.move(time.Second) // so that events are listed in their order
		a := b.want(204, "POST", "/auth/v1/login/local", credentials(username, password))
		names[b.want(200, "GET", "/api/v1/me", "").text("session", "id")] = session
		return a
	}
	do := func(b *browser, status int, method, path, body string) answer {
		now.move(time.Second)
		return b.want(status, method, path, body)
	}
	leaves := func(a answer, want ...string) {
		t.Helper()
		if got := r.trailOf(admin, a, names); !slices.Equal(got, want) {
			t.Errorf("it left %q, want %q", got, want)
		}
	}
	names[here.want(200, "GET", "/api/v1/me", "").text("session", "id")] = "first"
	leaves(signedIn(here, "ada", "second"), "user.sign_in by ada:  to second", "user.sign_out by ada: first to ")
	leaves(signedIn(there, "ada", "third"), "user.sign_in by ada:  to third")
	leaves(do(here, 204, "POST", "/auth/v1/refresh", ""), "user.refresh_session by ada: second to second")
	at := ""
	for id, name := range names {
		if name == "third" {
			at = "/api/v1/me/sessions/" + id
		}
	}
	leaves(do(here, 204, "DELETE", at, ""), "user.end_session by ada: third to ")
	leaves(do(here, 404, "DELETE", at, ""))
	leaves(signedIn(there, "ada", "fourth"), "user.sign_in by ada:  to fourth")
	leaves(signedIn(r.browser(), "ada", "fifth"), "user.sign_in by ada:  to fifth")
	leaves(do(here, 204, "DELETE", "/api/v1/me/sessions", ""), "user.end_sessions by ada: fourth,fifth to ")
	leaves(do(here, 204, "DELETE", "/api/v1/me/sessions", ""))
	// A browser that somebody else signs in with signs the one before out.
	r.signedIn(admin, "eve", "member")
	lent.value = here.value
	leaves(signedIn(lent, "eve", "sixth"), "user.sign_in by eve:  to sixth", "user.sign_out by ada: second to ")
	leaves(do(here, 204, "POST", "/auth/v1/logout", ""))
	leaves(do(here, 401, "POST", "/auth/v1/refresh", ""))
	leaves(do(r.browser(), 204, "POST", "/auth/v1/logout", ""))
	leaves(do(here, 401, "POST", "/auth/v1/login/local", credentials("ada", "wrong password")))
	leaves(do(here, 401, "POST", "/auth/v1/login/local", credentials("nobody", password)))
	stale := *lent
	leaves(do(lent, 204, "POST", "/auth/v1/logout", ""), "user.sign_out by eve: sixth to ")
	leaves(do(&stale, 204, "POST", "/auth/v1/logout", ""))
	leaves(signedIn(here, "ada", "seventh"), "user.sign_in by ada:  to seventh")
	changed := do(here, 204, "POST", "/api/v1/me/password", `{"current_password":"`+password+`","password":"another `+password+`"}`)
	names[here.want(200, "GET", "/api/v1/me", "").text("session", "id")] = "eighth"
	leaves(changed, "user.set_password by ada:  to ", "user.sign_in by ada:  to eighth")
	now.move(12 * time.Hour)
	leaves(do(here, 204, "POST", "/auth/v1/logout", "")) // it had ended by the clock

	for query, want := range map[string]int{
		"action=user.sign_in&target_id=" + ada:     7,
		"action=user.sign_out&actor_id=" + ada:     2,
		"action=user.refresh_session":              1,
		"action=user.end_session&target_kind=user": 1,
		"action=user.*&target_id=" + ada:           15, // those, the others that were ended, two passwords, and the making
	} {
		if got := len(r.call(admin, "GET", "/api/v1/audit-events?"+query, nil, 200).numbers()); got != want {
			t.Errorf("%s finds %d, want %d", query, got, want)
		}
	}
	if chain := r.call(admin, "GET", "/api/v1/audit-events/verify", nil, 200); chain.text("status") != "whole" {
		t.Error(chain.raw)
	}
}

// The set-up page makes an owner, which the window does, and signs it in, which
// the owner does.
func TestTheSetUpIsAudited(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	token := r.setUpToken()
	b := r.browser()
	made := b.want(201, "POST", "/auth/v1/setup", credentials("ada", password), "Authorization", "Bearer "+token)
	var got []string
	for _, e := range b.want(200, "GET", "/api/v1/audit-events?request_id="+made.header.Get("X-Request-Id"), "").get("data").([]any) {
		e := answer{body: e.(m)}
		got = append(got, e.text("action")+" by "+e.text("actor", "kind")+" "+e.text("actor", "id")+" of "+e.text("target", "id")+" from "+e.text("address"))
	}
	id := made.text("id")
	if want := []string{"user.sign_in by user " + id + " of " + id + " from 127.0.0.1", "user.create by setup  of " + id + " from 127.0.0.1"}; !slices.Equal(got, want) {
		t.Errorf("it left %q, want %q", got, want)
	}
}

// Refreshes and signings-out that come at once: each that did something is in the
// log under its request, no other is, and the chain is whole.
func TestTheTrailOfARace(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	b, _ := r.signedIn(admin, "ada", "member")
	for round := range 6 {
		b.want(204, "POST", "/auth/v1/login/local", credentials("ada", password))
		names := map[string]string{b.want(200, "GET", "/api/v1/me", "").text("session", "id"): "it"}
		var mu sync.Mutex
		var refreshes, signOuts []answer
		var all sync.WaitGroup
		send := func(path string, into *[]answer) {
			all.Go(func() {
				a := r.send("POST", path, "", "Sec-Fetch-Site", "same-origin", "Cookie", cookie+"="+b.value)
				mu.Lock()
				defer mu.Unlock()
				*into = append(*into, a)
			})
		}
		for range 4 {
			send("/auth/v1/refresh", &refreshes)
			if round%2 == 1 {
				send("/auth/v1/logout", &signOuts)
			}
		}
		all.Wait()
		refreshed, signedOut := 0, 0
		for _, a := range refreshes {
			switch got := r.trailOf(admin, a, names); {
			case a.status == 204 && slices.Equal(got, []string{"user.refresh_session by ada: it to it"}):
				refreshed++
			case a.status != 401 || len(got) > 0:
				t.Errorf("a refresh: %d %s left %q", a.status, a.raw, got)
			}
		}
		for _, a := range signOuts {
			switch got := r.trailOf(admin, a, names); {
			case slices.Equal(got, []string{"user.sign_out by ada: it to "}):
				signedOut++
			case a.status != 204 || len(got) > 0:
				t.Errorf("signing out: %d %s left %q", a.status, a.raw, got)
			}
		}
		if len(signOuts) == 0 && refreshed != 1 || refreshed > 1 || signedOut > 1 || len(signOuts) > 0 && refreshed+signedOut == 0 {
			t.Errorf("%d refreshes and %d signings-out are in the log", refreshed, signedOut)
		}
	}
	if chain := r.call(admin, "GET", "/api/v1/audit-events/verify", nil, 200); chain.text("status") != "whole" {
		t.Error(chain.raw)
	}
}
