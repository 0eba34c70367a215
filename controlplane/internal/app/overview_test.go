package app_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// The overview counts everything by what it is at that moment, is counted anew
// once its counts are old, and shows nobody what they may not list.
func TestOverview(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := startAt(t, pgtest.DSN(t), now.Now)
	admin := r.admin()
	issue := func(more m) string {
		body := m{"name": "k"}
		for name, value := range more {
			body[name] = value
		}
		return r.call(admin, "POST", "/api/v1/keys", body, 201).text("key", "id")
	}
	act := func(id, action string) { r.call(admin, "POST", "/api/v1/keys/"+id+"/"+action, nil, 200) }
	issue(nil)
	issue(m{"expires_in_days": 6})
	issue(m{"expires_in_days": 8})
	issue(m{"expires_at": now.Now().Add(time.Hour)})
	issue(m{"not_before": now.Now().Add(time.Hour)})
	act(issue(nil), "disable")
	act(issue(nil), "revoke")
	r.call(admin, "POST", "/api/v1/keys/"+issue(nil)+"/rotate", m{"overlap_hours": 2}, 201)
	r.call(admin, "DELETE", "/api/v1/keys/"+issue(nil), nil, 204)
	ada := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	r.call(admin, "PATCH", "/api/v1/users/"+ada, m{"disabled": true}, 200)
	r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro"}, 201)

	want := func(keys m) {
		t.Helper()
		a := r.call(admin, "GET", "/api/v1/overview", nil, 200)
		got := a.get("keys")
		for _, status := range []string{"total", "active", "retiring", "not_yet_valid", "expired", "disabled", "retired", "revoked", "expiring_soon"} {
			if keys[status] == nil {
				keys[status] = 0.0
			}
		}
		if diff := cmp.Diff(any(keys), got); diff != "" {
			t.Error(diff)
		}
	}
	// The successor is active, too.
	want(m{"total": 9.0, "active": 5.0, "retiring": 1.0, "not_yet_valid": 1.0, "disabled": 1.0, "revoked": 1.0, "expiring_soon": 2.0})
	a := r.call(admin, "GET", "/api/v1/overview", nil, 200)
	if fmt.Sprint(a.get("management_keys", "total"), a.get("users"), a.get("plans"), a.get("gateways")) !=
		"1 map[disabled:1 total:2] map[archived:0 total:1] map[connected:0]" {
		t.Error(a.raw)
	}
	issue(nil)
	if again := r.call(admin, "GET", "/api/v1/overview", nil, 200); again.raw != a.raw {
		t.Error("it was counted again at once")
	}
	now.move(time.Hour + time.Second) // nobody has stamped anything anew
	want(m{"total": 10.0, "active": 6.0, "retiring": 1.0, "expired": 1.0, "disabled": 1.0, "revoked": 1.0, "expiring_soon": 1.0})
	now.move(24 * time.Hour)
	want(m{"total": 10.0, "active": 6.0, "retired": 1.0, "expired": 1.0, "disabled": 1.0, "revoked": 1.0, "expiring_soon": 2.0})

	reader := r.call(admin, "POST", "/api/v1/keys", m{"name": "r", "kind": "management", "scopes": []string{"users:read"}}, 201).text("secret")
	a = r.call(reader, "GET", "/api/v1/overview", nil, 200)
	if a.get("users") == nil || a.get("keys") != nil || a.get("management_keys") != nil || a.get("plans") != nil || a.get("gateways") != nil {
		t.Error(a.raw)
	}
}

// A search finds what the caller may list, by each of its texts, and takes no key.
func TestSearch(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	r.call(admin, "POST", "/api/v1/users", m{"name": "Ada Lovelace", "username": "countess", "email": "ada@example.com", "external_id": "cust-1815"}, 201)
	r.call(admin, "POST", "/api/v1/users", m{"name": "100% Grace"}, 201)
	r.call(admin, "POST", "/api/v1/plans", m{"slug": "analytical", "name": "Analytical engine"}, 201)
	var secret, start string
	for range 7 {
		made := r.call(admin, "POST", "/api/v1/keys", m{"name": "Analytical ci"}, 201)
		secret, start = made.text("secret"), made.text("key", "start")
	}
	search := func(text string) string { return "/api/v1/search?q=" + url.QueryEscape(text) }
	for text, want := range map[string]string{
		"analytical": "5 0 1", "ICAL EN": "0 0 1", "Lovelace": "0 1 0", "COUNTESS": "0 1 0", "@example.com": "0 1 0", "cust-18": "0 1 0",
		"100%": "0 1 0", "%%%": "0 0 0", "a_a": "0 0 0", start: "1 0 0", secret[len(secret)-4:]: "1 0 0", "  Lovelace ": "0 1 0", "nowhere": "0 0 0",
	} {
		a := r.call(admin, "GET", search(text), nil, 200)
		got := ""
		for _, kind := range []string{"keys", "users", "plans"} {
			got += fmt.Sprint(len(a.get(kind).([]any)), " ")
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("%q: found %s, want %s: %s", text, got, want, a.raw)
		}
	}
	for name, text := range map[string]string{"a key": secret, "a key among words": "ci " + secret, "too short": "ab", "blanks": "   ", "control characters": "a\nb\nc"} {
		if a := r.send("GET", search(text), "", "Authorization", "Bearer "+admin); a.status != 422 || strings.Contains(a.raw+r.logs.String(), secret[12:]) {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	reader := r.call(admin, "POST", "/api/v1/keys", m{"name": "r", "kind": "management", "scopes": []string{"plans:read"}}, 201).text("secret")
	if a := r.call(reader, "GET", search("analytical"), nil, 200); a.get("keys") != nil || a.get("users") != nil || len(a.get("plans").([]any)) != 1 {
		t.Error(a.raw)
	}
}
