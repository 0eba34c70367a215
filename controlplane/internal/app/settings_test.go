package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/settings"
)

const settingsPath = "/api/v1/settings"

func (r *replica) set(admin string, body m) answer {
	r.t.Helper()
	return r.call(admin, "PATCH", settingsPath, body, 200)
}

// at reads a time of an answer.
func (a answer) at(t testing.TB, path ...string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, a.text(path...))
	if err != nil {
		t.Fatalf("%v: %v: %s", path, err, a.raw)
	}
	return at
}

// What is set at one replica holds for the very next request at the other:
// fifteen times each way.
func TestASettingHoldsEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	one, two := start(t, dsn), start(t, dsn)
	admin := one.admin()
	acquainted(t, one, two)
	for hours := range 30 {
		here, there := one, two
		if hours%2 == 1 {
			here, there = two, one
		}
		k := here.call(admin, "POST", "/api/v1/keys", m{"name": "k"}, 201).text("key", "id")
		here.set(admin, m{"rotation_overlap_hours": 100 + hours})
		there.call(admin, "POST", "/api/v1/keys/"+k+"/rotate", nil, 201)
		read := here.call(admin, "GET", "/api/v1/keys/"+k, nil, 200)
		if overlap := read.at(t, "retires_at").Sub(read.at(t, "updated_at")); overlap != time.Duration(100+hours)*time.Hour {
			t.Errorf("%d: the overlap is %v", hours, overlap)
		}
	}
}

// The settings of keys are what keys go by.
func TestSettingsOfKeys(t *testing.T) {
	t.Parallel()
	now := newClock()
	r := startAt(t, pgtest.DSN(t), now.Now)
	admin := r.admin()
	issue := func(more m) answer { return r.call(admin, "POST", "/api/v1/keys", with(m{"name": "k"}, more), 201) }
	at := func(k answer) string { return "/api/v1/keys/" + k.text("key", "id") }

	revoked, deleted := issue(nil), issue(nil)
	r.call(admin, "POST", at(revoked)+"/revoke", nil, 200)
	r.call(admin, "DELETE", at(deleted), nil, 204)
	now.move(5 * 24 * time.Hour)
	r.set(admin, m{"restore_window_days": 5, "deleted_key_retention_days": 6})
	if a := r.call(admin, "POST", at(revoked)+"/restore", nil, 409); !strings.Contains(a.raw, "for 5 days") {
		t.Error(a.raw)
	}
	r.set(admin, m{"restore_window_days": 6})
	r.call(admin, "POST", at(revoked)+"/restore", nil, 200)
	r.set(admin, m{"restore_window_days": 0})
	r.call(admin, "POST", at(revoked)+"/revoke", nil, 200)
	r.call(admin, "POST", at(revoked)+"/restore", nil, 409)

	sweep := func(status int, code string) {
		t.Helper()
		if err := r.app.Keys.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.expect(r.auth(deleted.text("secret")), status, code)
	}
	sweep(401, "REVOKED")
	r.set(admin, m{"deleted_key_retention_days": 4})
	sweep(401, "KEY_NOT_FOUND")

	r.set(admin, m{"rotation_overlap_hours": 5})
	if k := issue(m{"rotate_every_days": 30}); k.get("key", "rotate_overlap_hours") != 5.0 {
		t.Error(k.raw)
	}
	k := issue(nil)
	if p := r.call(admin, "PATCH", at(k), m{"rotate_every_days": 30}, 200); p.get("rotate_overlap_hours") != 5.0 {
		t.Error(p.raw)
	}

	r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro"}, 201)
	r.set(admin, m{"key_max_lifetime_days": 10})
	if a := r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "expires_in_days": 11}, 422); !strings.Contains(a.raw, "body.expires_at") || !strings.Contains(a.raw, "10 days") {
		t.Error(a.raw)
	}
	bounded := issue(nil)
	if life := bounded.at(t, "key", "expires_at").Sub(bounded.at(t, "key", "created_at")); life != 10*24*time.Hour {
		t.Errorf("it lives %v", life)
	}
	r.call(admin, "PATCH", at(bounded), m{"expires_at": nil}, 422)
	r.call(admin, "PATCH", at(bounded), m{"expires_at": now.Now().Add(9 * 24 * time.Hour)}, 200)
	r.call(admin, "PATCH", at(k), m{"name": "issued before"}, 200)
	for _, unbounded := range []m{{"plan": "pro"}, {"kind": "management", "scopes": []string{"keys:read"}}} {
		if made := issue(unbounded); made.get("key", "expires_at") != nil {
			t.Errorf("%v is bounded: %s", unbounded, made.raw)
		}
	}
	r.set(admin, m{"key_max_lifetime_days": nil})
	r.call(admin, "PATCH", at(bounded), m{"expires_at": nil}, 200)
}

// The settings of sessions are what sessions go by: a shorter time counts for
// those that there are, at another replica too.
func TestSettingsOfSessions(t *testing.T) {
	t.Parallel()
	now, dsn, began := newClock(), pgtest.DSN(t), time.Now()
	ticking := func() time.Time { return now.Now().Add(time.Since(began)) } // by which replicas hear of each other
	r, other := startAt(t, dsn, ticking), startAt(t, dsn, ticking)
	admin := r.admin()
	acquainted(t, r, other)
	b, id := r.signedIn(admin, "ada", "viewer")
	elsewhere := func() *browser { return &browser{replica: other, name: b.name, value: b.value} }
	sessions := func() int { return len(ids(r.call(admin, "GET", "/api/v1/sessions?user_id="+id, nil, 200))) }
	lives := func(a answer, from, to string, want time.Duration) {
		t.Helper()
		if got := a.at(t, "session", to).Sub(a.at(t, "session", from)).Round(time.Second); got != want {
			t.Errorf("from %s to %s it is %v, want %v", from, to, got, want)
		}
	}
	later := func(d time.Duration) {
		t.Helper()
		now.move(d)
		acquainted(t, r, other) // to each other they were silent for so long
	}
	later(2 * time.Hour)
	r.set(admin, m{"session_idle_hours": 3})
	lives(elsewhere().want(200, "GET", "/api/v1/me", ""), "refreshed_at", "expires_at", 3*time.Hour)
	r.set(admin, m{"session_idle_hours": 2})
	if a := elsewhere().do("GET", "/api/v1/me", ""); a.code() != "SESSION_ENDED" || sessions() != 0 {
		t.Errorf("it lives: %d %s", a.status, a.raw)
	}
	r.set(admin, m{"session_idle_hours": 100})
	lives(elsewhere().want(200, "GET", "/api/v1/me", ""), "refreshed_at", "expires_at", 12*time.Hour) // as it was promised
	b = elsewhere()
	if a := b.want(204, "POST", "/auth/v1/refresh", ""); !strings.Contains(a.header.Get("Set-Cookie"), fmt.Sprintf("Max-Age=%d", 100*60*60)) {
		t.Error(a.header)
	}
	lives(b.want(200, "GET", "/api/v1/me", ""), "refreshed_at", "expires_at", 100*time.Hour)

	later(23 * time.Hour)
	r.set(admin, m{"session_max_days": 2, "session_idle_hours": 48})
	me := b.want(200, "GET", "/api/v1/me", "")
	lives(me, "created_at", "ends_at", 48*time.Hour)
	lives(me, "created_at", "expires_at", 48*time.Hour)
	r.set(admin, m{"session_max_days": 1, "session_idle_hours": nil})
	if a := b.do("GET", "/api/v1/me", ""); a.code() != "SESSION_ENDED" || sessions() != 0 {
		t.Errorf("it lives: %d %s", a.status, a.raw)
	}
	again := r.browser()
	again.want(204, "POST", "/auth/v1/login/local", credentials("ada", password))
	lives(again.want(200, "GET", "/api/v1/me", ""), "created_at", "ends_at", 24*time.Hour)
	if sessions() != 1 {
		t.Error("the new session is not listed")
	}
}

// A setting is a number within its bounds, or its default; each change is in the
// audit log with what counted before and after.
func TestSettings(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	read := func() answer { return r.call(admin, "GET", settingsPath, nil, 200) }
	first := read()
	if defaults := first.get("defaults").(m); first.get("session_idle_hours") != defaults["session_idle_hours"] || len(defaults) != 6 ||
		first.get("changed_at") != nil || len(first.get("chosen").([]any)) != 0 {
		t.Error(first.raw)
	}
	least, most := settings.Bounds()
	for _, bound := range []struct {
		values settings.Values
		beyond float64
	}{{least, -1}, {most, 1}} {
		text, err := json.Marshal(bound.values)
		if err != nil {
			t.Fatal(err)
		}
		values := m{}
		_ = json.Unmarshal(text, &values) // what Marshal wrote
		for name, value := range values {
			if a := r.call(admin, "PATCH", settingsPath, m{name: value.(float64) + bound.beyond}, 422); !strings.Contains(a.raw, "body."+name) {
				t.Errorf("%s: %s", name, a.raw)
			}
			if a := r.set(admin, m{name: value}); a.get(name) != value || !cmp.Equal(a.get("chosen"), []any{name}) {
				t.Errorf("%s: %s", name, a.raw)
			}
			r.set(admin, m{name: nil})
		}
	}
	before := read()
	for name, body := range map[string]string{
		"unknown": `{"session_idle_minutes": 1}`, "a text": `{"session_max_days": "1"}`, "a fraction": `{"session_max_days": 1.5}`,
		"one good, one bad":           `{"restore_window_days": 3, "session_max_days": 0}`,
		"idle for longer than it may": `{"session_idle_hours": 25, "session_max_days": 1}`,
		"an overlap that is too long": `{"rotation_overlap_hours": 721}`,
	} {
		if a := r.send("PATCH", settingsPath, body, "Authorization", "Bearer "+admin); a.status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	if after := read(); after.raw != before.raw || after.header.Get("ETag") != before.header.Get("ETag") {
		t.Errorf("something of it was done: %s", after.raw)
	}

	tagged := []string{"Authorization", "Bearer " + admin, "If-Match", before.header.Get("ETag")}
	for _, want := range []int{http.StatusOK, http.StatusPreconditionFailed} {
		if a := r.send("PATCH", settingsPath, `{"session_idle_hours":8,"restore_window_days":7}`, tagged...); a.status != want {
			t.Errorf("%d, want %d: %s", a.status, want, a.raw)
		}
	}
	set := read()
	if set.get("session_idle_hours") != 8.0 || set.get("session_max_days") != 30.0 || set.at(t, "changed_at").IsZero() ||
		!cmp.Equal(set.get("chosen"), []any{"restore_window_days", "session_idle_hours"}) {
		t.Error(set.raw)
	}
	if same := r.set(admin, m{"session_idle_hours": 8}); same.raw != set.raw {
		t.Errorf("nothing changed, but %s", same.raw)
	}
	events := r.call(admin, "GET", "/api/v1/audit-events?action=settings.*&limit=1", nil, 200).get("data").([]any)
	last := answer{body: events[0].(m)}
	if last.text("target", "kind") != "settings" || last.text("actor", "kind") != "key" ||
		!cmp.Equal(last.get("before"), any(m{"session_idle_hours": 12.0, "restore_window_days": 7.0})) ||
		!cmp.Equal(last.get("after"), any(m{"session_idle_hours": 8.0, "restore_window_days": 7.0})) {
		t.Errorf("%v", events)
	}
}
