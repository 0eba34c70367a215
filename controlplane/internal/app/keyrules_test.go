package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// One live key of an owner has a label, also where a key comes back to life.
func TestALabelIsOfOneLiveKey(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r, two := start(t, dsn), start(t, dsn)
	admin := r.admin()
	issue := func(label string) (at string) {
		t.Helper()
		return "/api/v1/keys/" + r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "label": label}, 201).text("key", "id")
	}
	first := issue("main")
	r.call(admin, "POST", first+"/revoke", nil, 200)
	second := issue("main")
	if a := r.call(admin, "POST", first+"/restore", nil, 409); a.code() != "ALREADY_EXISTS" || a.text("fix") == "" {
		t.Error(a.raw)
	}
	r.call(admin, "POST", second+"/revoke", nil, 200)
	r.call(admin, "POST", first+"/restore", nil, 200)

	execute(t, dsn, "UPDATE keys SET expires_at = now() - interval '1 hour' WHERE id = '"+strings.TrimPrefix(first, "/api/v1/keys/key_")+"'")
	third := issue("main")
	if a := r.call(admin, "PATCH", first, m{"expires_at": nil}, 409); a.code() != "ALREADY_EXISTS" {
		t.Error(a.raw)
	}
	// So it is where a later beginning gives a key that lapsed another deadline.
	execute(t, dsn, "UPDATE keys SET expires_at = NULL, rotate_every_days = 1, rotate_overlap_hours = 0, rotate_by = now() - interval '1 hour' WHERE id = '"+strings.TrimPrefix(first, "/api/v1/keys/key_")+"'")
	if a := r.call(admin, "PATCH", first, m{"not_before": time.Now().Add(time.Hour)}, 409); a.code() != "ALREADY_EXISTS" {
		t.Error(a.raw)
	}
	r.call(admin, "POST", third+"/rotate", nil, 201) // its successor has the label
	r.call(admin, "POST", third+"/revoke", nil, 200)
	r.call(admin, "POST", third+"/restore", nil, 200)

	// However many come back at once, it is one that does.
	var held []string
	for range 4 {
		at := issue("other")
		r.call(admin, "POST", at+"/revoke", nil, 200)
		held = append(held, at)
	}
	var restored atomic.Int64
	var all sync.WaitGroup
	for i, at := range held {
		from := []*replica{r, two}[i%2]
		all.Go(func() {
			a, err := from.try("POST", at+"/restore", "", "Authorization", "Bearer "+admin)
			switch {
			case err == nil && a.status == 200:
				restored.Add(1)
			case err != nil || a.code() != "ALREADY_EXISTS":
				t.Errorf("%v %d %s", err, a.status, a.raw)
			}
		})
	}
	all.Wait()
	if restored.Load() != 1 {
		t.Errorf("%d keys have the label", restored.Load())
	}
}

// A change keeps to what an issue is held to, and says what it does not do.
func TestChangesKeepToTheRulesOfIssuing(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	plan := r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro", "scopes": []string{"reports:*"}}, 201).text("id")
	issued := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "plan": "pro", "scopes": []string{"reports:read"}}, 201)
	at := "/api/v1/keys/" + issued.text("key", "id")
	for name, test := range map[string]struct {
		body m
		says string
	}{
		"a scope that the plan lacks":      {m{"scopes": []string{"reports:read", "admin"}}, "body.scopes"},
		"every scope":                      {m{"scopes": []string{"*"}}, "body.scopes"},
		"an overlap that counts for none":  {m{"rotate_overlap_hours": 721}, "body.rotate_overlap_hours"},
		"a negative one":                   {m{"rotate_overlap_hours": -1}, "body.rotate_overlap_hours"},
		"a star inside a segment":          {m{"allow_paths": []string{"/a", "/files/*.pdf"}}, "body.allow_paths[1]"},
		"stars for all":                    {m{"allow_paths": []string{"/**"}}, "body.allow_paths[0]"},
		"an encoding that no path matches": {m{"allow_paths": []string{"/a%2fb"}}, "body.allow_paths[0]"},
	} {
		if a := r.call(admin, "PATCH", at, test.body, 422); !strings.Contains(a.raw, test.says) {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	r.call(admin, "PATCH", at, m{"scopes": []string{"reports:*"}, "allow_paths": []string{"/", "/a/*/b"}}, 200)
	r.call(admin, "PATCH", "/api/v1/plans/"+plan, m{"scopes": []string{"export"}}, 200)
	r.call(admin, "PATCH", at, m{"name": "what the plan took away stays written down"}, 200)

	// An overlap that is cleared is that of whoever says nothing, not none.
	a := r.call(admin, "PATCH", at, m{"rotate_every_days": 30, "rotate_overlap_hours": 3}, 200)
	if cleared := r.call(admin, "PATCH", at, m{"rotate_overlap_hours": nil}, 200); a.get("rotate_overlap_hours") != 3.0 || cleared.get("rotate_overlap_hours") != 24.0 {
		t.Errorf("%s, cleared %s", a.raw, cleared.raw)
	}
	if a := r.call(admin, "PATCH", at, m{"rotate_overlap_hours": 0}, 200); a.get("rotate_overlap_hours") != 0.0 {
		t.Error(a.raw)
	}

	next := r.call(admin, "POST", at+"/rotate", nil, 201)
	if a := r.call(admin, "PATCH", at, m{"rotate_every_days": 30}, 409); !strings.Contains(a.raw, next.text("key", "id")) {
		t.Error(a.raw)
	}
}

// What counts for nothing needs no room: the scopes and the end of a key that is
// retiring can be changed, however many keys its owner has too many.
func TestWhatCountsForNothingNeedsNoRoom(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	at := "/api/v1/keys/" + r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "owner_id": user}, 201).text("key", "id")
	r.call(admin, "POST", at+"/rotate", nil, 201)
	r.call(admin, "PATCH", "/api/v1/users/"+user, m{"max_keys": 0}, 200)
	r.call(admin, "PATCH", at, m{"scopes": []string{"reports:read"}}, 200)
	r.call(admin, "PATCH", at, m{"expires_at": time.Now().Add(time.Hour)}, 200)
	r.call(admin, "PATCH", at, m{"expires_at": time.Now().Add(-time.Hour)}, 200)
	begins, ends := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	r.call(admin, "PATCH", at, m{"not_before": begins, "expires_at": ends}, 200) // also where it is to be good only later
}

// Whoever has let a key in again is not refused once more, whatever kept it out.
func TestAnEnabledKeyIsAdmittedAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	plan := r.tier(admin, "pro", nil)
	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	sub := r.call(admin, "POST", "/api/v1/subscriptions", m{"user_id": user, "plan_id": plan, "trial_ends_at": time.Now().Add(time.Hour)}, 201).text("id")
	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "owner_id": user, "subscription_id": sub}, 201)
	key, sub, user := "/api/v1/keys/"+k.text("key", "id"), "/api/v1/subscriptions/"+sub, "/api/v1/users/"+user
	type act struct {
		method, path string
		body         any
	}
	for _, step := range []struct {
		out    act
		status int
		code   string
		in     act
	}{
		{act{"POST", key + "/disable", nil}, 401, "DISABLED", act{"POST", key + "/enable", nil}},
		{act{"POST", key + "/revoke", nil}, 401, "REVOKED", act{"POST", key + "/restore", nil}},
		{act{"PATCH", user, m{"disabled": true}}, 403, "OWNER_DISABLED", act{"PATCH", user, m{"disabled": false}}},
		{act{"PATCH", sub, m{"trial_ends_at": time.Now().Add(-time.Hour)}}, 401, "TRIAL_ENDED", act{"POST", sub + "/renew", m{"period_end": time.Now().Add(time.Hour)}}},
		{act{"POST", sub + "/pause", nil}, 403, "PLAN_INACTIVE", act{"POST", sub + "/resume", nil}},
	} {
		for range 3 {
			r.expect(r.auth(k.text("secret")), 200, "VALID")
			r.call(admin, step.out.method, step.out.path, step.out.body, 200)
			r.expect(r.auth(k.text("secret")), step.status, step.code)
			r.call(admin, step.in.method, step.in.path, step.in.body, 200)
			if step.code == "TRIAL_ENDED" {
				break // what was renewed is no trial any more
			}
		}
	}
	r.expect(r.auth(k.text("secret")), 200, "VALID")
}

// A cursor with a time that no page ends at is refused, and is no fault of ours.
func TestCursorsOfOthersMaking(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	id := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci"}, 201).text("key", "id")
	for sort, member := range map[string]string{"created_at": "c", "expires_at": "e", "-last_used_at": "u"} {
		for _, at := range []string{"0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"} {
			place, _ := json.Marshal(m{"s": sort, "i": id, member: at})
			cursor := base64.RawURLEncoding.EncodeToString(place)
			for _, narrow := range []string{"", "&kind=api", "&q=abc"} {
				a := r.call(admin, "GET", "/api/v1/keys?sort="+url.QueryEscape(sort)+narrow+"&cursor="+cursor, nil, 422)
				if !strings.Contains(a.raw, "query.cursor") {
					t.Errorf("%s %s %s: %s", sort, at, narrow, a.raw)
				}
			}
		}
	}
}

// Under an Idempotency-Key an answer is the answer, also where it was a key that
// had the label already; and a part of it is none.
func TestAnswersUnderAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	send := func(path, key, body string) answer {
		return r.send("POST", path, body, "Authorization", "Bearer "+admin, "Idempotency-Key", key)
	}
	there := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "label": "main"}, 201).text("key", "id")
	const labelled = `{"name":"ci","label":"main","idempotent":true}`
	if a := send("/api/v1/keys", "a", labelled); a.status != 200 || a.text("key", "id") != there {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if a := send("/api/v1/keys", "a", `{"name":"other"}`); a.code() != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("another body: %d %s", a.status, a.raw)
	}
	r.call(admin, "POST", "/api/v1/keys/"+there+"/revoke", nil, 200)
	if a := send("/api/v1/keys", "a", labelled); a.status != 200 || a.text("key", "id") != there {
		t.Errorf("repeated: %d %s", a.status, a.raw)
	}
	const three = `{"keys":[{"name":"a"},{"name":"b"},{"name":"c"}]}`
	made := send("/api/v1/keys/bulk-issue", "b", three).get("keys").([]any)
	r.call(admin, "DELETE", fmt.Sprint("/api/v1/keys/", made[1].(m)["key"].(m)["id"]), nil, 204)
	if a := send("/api/v1/keys/bulk-issue", "b", three); a.status != 409 || a.code() != "CONFLICT" {
		t.Errorf("a part of what was made: %d %s", a.status, a.raw)
	}
}

// A holder's rotation has the key's own overlap: another that is sent for is
// refused, before there is a successor.
func TestAHoldersRotationTakesNoBody(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "own", "rotate_every_days": 1, "rotate_overlap_hours": 0}, 201).text("secret")
	if a := r.call(k, "POST", "/v1/keys/self/rotate", m{"overlap_hours": 24}, 422); !strings.Contains(a.raw, "body.overlap_hours") {
		t.Error(a.raw)
	}
	a := r.call(k, "POST", "/v1/keys/self/rotate", m{}, 201)
	if a.header.Get("Location") != "/v1/keys/self" {
		t.Errorf("it is at %q", a.header.Get("Location"))
	}
	r.call(a.text("secret"), "GET", a.header.Get("Location"), nil, 200)
	r.expect(r.auth(k), 401, "RETIRED")
}

// What has to be rotated ends after its grace, and an explanation says why then.
func TestExplainTellsOfTheDeadline(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "rotate_every_days": 1, "rotate_overlap_hours": 2}, 201)
	for _, c := range r.call(admin, "POST", "/v1/auth/explain", m{"auth_key": k.text("secret")}, 200).get("checks").([]any) {
		check := c.(m)
		if check["code"] != "EXPIRED" {
			continue
		}
		rule := check["rule"].(m)
		by, _ := time.Parse(time.RFC3339Nano, fmt.Sprint(rule["rotate_by"]))
		ends, _ := time.Parse(time.RFC3339Nano, fmt.Sprint(rule["expires_at"]))
		if rule["rotate_by"] != k.get("key", "rotate_by") || rule["rotate_overlap_hours"] != 2.0 || ends.Sub(by) != 2*time.Hour {
			t.Errorf("%v", rule)
		}
	}
	if a := r.call(admin, "POST", "/v1/auth/explain", m{"auth_key": admin}, 200); a.get("key", "environment") != nil || a.text("key", "name") != "admin" {
		t.Error(a.raw)
	}
}
