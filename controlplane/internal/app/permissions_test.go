package app_test

import (
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// Nobody gets more than they have by way of a key or a user that they make.
func TestNobodyGrantsWhatTheyLack(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	adminKey := r.call(admin, "GET", "/api/v1/keys?kind=management", nil, 200).get("data").([]any)[0].(map[string]any)["id"].(string)
	writer := r.call(admin, "POST", "/api/v1/keys", m{"name": "w", "kind": "management", "scopes": []string{"keys:write", "keys:read", "users:write", "users:read"}}, 201)
	owner := r.call(admin, "POST", "/api/v1/users", m{"name": "Boss", "role": "owner"}, 201).text("id")
	for name, test := range map[string]struct {
		method, path string
		body         m
		status       int
	}{
		"a key with a scope it lacks":        {"POST", "/api/v1/keys", m{"name": "k", "kind": "management", "scopes": []string{"plans:write"}}, 403},
		"a key with everything":              {"POST", "/api/v1/keys", m{"name": "k", "kind": "management", "scopes": []string{"*"}}, 403},
		"a key with what it has":             {"POST", "/api/v1/keys", m{"name": "k", "kind": "management", "scopes": []string{"keys:read"}}, 201},
		"more for itself":                    {"PATCH", "/api/v1/keys/" + writer.text("key", "id"), m{"scopes": []string{"*"}}, 403},
		"less for one that has more":         {"PATCH", "/api/v1/keys/" + adminKey, m{"scopes": []string{"keys:read"}}, 403},
		"an end to one that has more":        {"POST", "/api/v1/keys/" + adminKey + "/revoke", nil, 403},
		"an owner":                           {"POST", "/api/v1/users", m{"name": "u", "role": "owner"}, 403},
		"an operator":                        {"POST", "/api/v1/users", m{"name": "u", "role": "operator"}, 403},
		"a member":                           {"POST", "/api/v1/users", m{"name": "u"}, 201},
		"an end to an owner":                 {"PATCH", "/api/v1/users/" + owner, m{"disabled": true}, 403},
		"application scopes, which are free": {"POST", "/api/v1/keys", m{"name": "k", "scopes": []string{"anything:goes"}}, 201},
	} {
		t.Run(name, func(t *testing.T) {
			r := &replica{t: t, url: r.url, logs: r.logs}
			var body any
			if test.body != nil {
				body = test.body
			}
			r.call(writer.text("secret"), test.method, test.path, body, test.status)
		})
	}
}

// A PATCH changes what it names; null clears, absent keeps; what a plan bounds
// cannot be exceeded; a version that was read before is refused.
func TestPatchAndVersions(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	plan := r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro", "scopes": []string{"reports:*"}}, 201)
	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "plan": "pro", "scopes": []string{"reports:read"}, "tags": []string{"a"}, "expires_in_days": 3}, 201)
	at := "/api/v1/keys/" + k.text("key", "id")
	read := r.call(admin, "GET", at, nil, 200)
	patched := r.send("PATCH", at, `{"expires_at":null,"name":"renamed"}`, "Authorization", "Bearer "+admin, "If-Match", read.header.Get("ETag"))
	if patched.status != 200 || patched.get("expires_at") != nil || patched.text("name") != "renamed" || len(patched.get("tags").([]any)) != 1 {
		t.Errorf("%d %s", patched.status, patched.raw)
	}
	if a := r.send("PATCH", at, `{"name":"again"}`, "Authorization", "Bearer "+admin, "If-Match", read.header.Get("ETag")); a.status != 412 {
		t.Errorf("a stale version: %d %s", a.status, a.raw)
	}
	if a := r.call(admin, "PATCH", at, m{"name": "renamed"}, 200); a.header.Get("ETag") != patched.header.Get("ETag") {
		t.Error("a change of nothing made a new version")
	}
	r.call(admin, "POST", "/api/v1/keys", m{"name": "x", "plan": "pro", "scopes": []string{"export"}}, 422)
	key := k.text("secret")
	r.expect(r.auth(key, "scopes", []string{"reports:read"}), 200, "VALID")
	r.call(admin, "PATCH", "/api/v1/plans/"+plan.text("id"), m{"scopes": []string{"export"}}, 200)
	r.expect(r.auth(key, "scopes", []string{"reports:read"}), 403, "INSUFFICIENT_SCOPE")
}

// Pages follow each other without a gap or a repetition, whatever is made between.
func TestPages(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	made := map[string]bool{}
	for range 7 {
		made[r.call(admin, "POST", "/api/v1/keys", m{"name": "k"}, 201).text("key", "id")] = true
	}
	for query := "?limit=3&kind=api"; ; {
		page := r.call(admin, "GET", "/api/v1/keys"+query, nil, 200)
		for _, k := range page.get("data").([]any) {
			id := k.(map[string]any)["id"].(string)
			if !made[id] {
				t.Errorf("%s was listed twice or never made", id)
			}
			delete(made, id)
		}
		r.call(admin, "POST", "/api/v1/keys", m{"name": "made between"}, 201)
		next := page.text("next_cursor")
		if next == "" {
			break
		}
		query = "?limit=3&kind=api&cursor=" + next
	}
	if len(made) > 0 {
		t.Errorf("%d keys were not listed", len(made))
	}
}
