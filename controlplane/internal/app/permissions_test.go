package app_test

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// Every operation of the document is called by nobody, by a management key that
// holds every scope but the one it needs, and by one that holds only that.
func TestEveryOperationAsksForItsScope(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	with := map[string]string{}
	holding := func(scopes ...string) string {
		name := strings.Join(scopes, " ")
		if with[name] == "" {
			with[name] = r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "kind": "management", "scopes": scopes}, 201).text("secret")
		}
		return with[name]
	}
	document := r.send("GET", "/openapi.json", "")
	operations := 0
	for path, item := range document.get("paths").(map[string]any) {
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		for method, op := range item.(map[string]any) {
			operations++
			method, id := strings.ToUpper(method), op.(map[string]any)["operationId"].(string)
			scopes, _ := op.(map[string]any)["security"].([]any)[0].(map[string]any)["managementKey"].([]any)
			if len(scopes) == 0 { // for signed-in users: see TestAMemberHasOnlyItsOwn
				if a := r.send(method, path, ""); a.status != 401 || a.code() != "UNAUTHENTICATED" {
					t.Errorf("%s by nobody: %d %s", id, a.status, a.raw)
				}
				if a := r.send(method, path, `{"current_password":"p","password":"correct horse"}`, "Authorization", "Bearer "+holding("*")); a.status != 403 {
					t.Errorf("%s by a management key: %d %s", id, a.status, a.raw)
				}
				continue
			}
			needs := scopes[0].(string)
			var others []string
			for _, s := range access.Scopes {
				if s != access.All && string(s) != needs {
					others = append(others, string(s))
				}
			}
			at := strings.Replace(path, "{id}", "usr_01a200b384db74eb8a6c7cc7d79ac7f3", 1)
			body := map[bool]string{true: "", false: `{"name":"n","slug":"s","user_id":"usr_01a200b384db74eb8a6c7cc7d79ac7f3","plan_id":"pln_01a200b384db74eb8a6c7cc7d79ac7f3"}`}[method == "GET"]
			at = strings.Replace(at, "usr_", map[string]string{"keys": "key_", "users": "usr_", "plans": "pln_", "subscriptions": "sub_", "gateways": "gw_", "sessions": "ses_"}[strings.Split(path, "/")[3]], 1)
			if method == "POST" || method == "PATCH" {
				body = strings.NewReplacer("keys", `{"name":"n"}`, "users", `{"name":"n"}`, "plans", `{"name":"n","slug":"s"}`,
					"subscriptions", `{"user_id":"usr_01a200b384db74eb8a6c7cc7d79ac7f3","plan_id":"pln_01a200b384db74eb8a6c7cc7d79ac7f3"}`).
					Replace(strings.Split(path, "/")[3])
				switch {
				case strings.HasSuffix(path, "able"), strings.HasSuffix(path, "/revoke"), strings.HasSuffix(path, "/rotate"), strings.HasSuffix(path, "/restore"):
					body = ""
				case strings.HasSuffix(path, "/lookup"):
					body = `{"auth_key":"k"}`
				case strings.HasSuffix(path, "/bulk-issue"):
					body = `{"keys":[{"name":"n"}]}`
				case strings.HasSuffix(path, "/bulk-action"):
					body = `{"action":"disable","filter":{"tag":"nobody-has-it"}}`
				case strings.HasSuffix(path, "/password"):
					body = `{"password":"correct horse"}`
				case method == "PATCH" && strings.Contains(path, "subscriptions"):
					body = `{"status":"paused"}`
				}
			}
			if a := r.send(method, at, body); a.status != 401 || a.code() != "UNAUTHENTICATED" {
				t.Errorf("%s by nobody: %d %s", id, a.status, a.raw)
			}
			if a := r.send(method, at, body, "Authorization", "Bearer "+holding(others...)); a.status != 403 || !strings.Contains(a.raw, needs) {
				t.Errorf("%s without %s: %d %s", id, needs, a.status, a.raw)
			}
			if a := r.send(method, at, body, "Authorization", "Bearer "+holding(needs)); a.status == 401 || a.status == 403 || a.status >= 500 {
				t.Errorf("%s with %s: %d %s", id, needs, a.status, a.raw)
			}
		}
	}
	if operations < 18 {
		t.Errorf("only %d operations were tried", operations)
	}
}

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
