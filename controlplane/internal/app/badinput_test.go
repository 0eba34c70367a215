package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// Whatever is sent, the answer is a problem that says what was wrong, never a
// 5xx, and the key that was in it is in no answer and no log line.
func TestBadInput(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	issued := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci"}, 201)
	key, id := issued.text("secret"), issued.text("key", "id")
	const sql = `'; DROP TABLE keys; --`
	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")

	tests := map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code               string
		says               string // in the answer
	}{
		"malformed JSON":            {"POST", "/v1/auth", `{"auth_key": "` + key, nil, 400, "MALFORMED_REQUEST", ""},
		"trailing data":             {"POST", "/v1/auth", `{"auth_key": "` + key + `"} {}`, nil, 400, "MALFORMED_REQUEST", ""},
		"duplicate members":         {"POST", "/v1/auth", `{"auth_key": "x", "auth_key": "` + key + `"}`, nil, 400, "MALFORMED_REQUEST", "auth_key"},
		"unknown member":            {"POST", "/v1/auth", `{"auth_key": "` + key + `", "auth_kee": 1}`, nil, 422, "INVALID_VALUE", "auth_kee"},
		"the key as a member":       {"POST", "/v1/auth", `{"` + key + `": 1}`, nil, 422, "INVALID_VALUE", ""},
		"a limit, not there yet":    {"POST", "/v1/auth", `{"auth_key": "` + key + `", "rate_limit_usage": 1}`, nil, 422, "INVALID_VALUE", "rate_limit_usage"},
		"wrong type":                {"POST", "/v1/auth", `{"auth_key": ["` + key + `"]}`, nil, 422, "INVALID_VALUE", "auth_key"},
		"scopes of a wrong type":    {"POST", "/v1/auth", `{"auth_key": "` + key + `", "scopes": "reports:read"}`, nil, 422, "INVALID_VALUE", "scopes"},
		"scope misspelt":            {"POST", "/v1/auth", `{"auth_key": "` + key + `", "scopes": ["Reports"]}`, nil, 422, "INVALID_VALUE", "scopes"},
		"a body that is no object":  {"POST", "/v1/auth", `"` + key + `"`, nil, 422, "INVALID_VALUE", ""},
		"null":                      {"POST", "/v1/auth", `null`, nil, 422, "INVALID_VALUE", ""},
		"two MiB":                   {"POST", "/v1/auth", `{"auth_key": "` + key + strings.Repeat(" ", 2<<20) + `"}`, nil, 413, "TOO_LARGE", ""},
		"no body":                   {"POST", "/v1/auth", ``, []string{"Content-Type", "application/json"}, 400, "NO_BODY", ""},
		"no Content-Type":           {"POST", "/v1/auth", `{"auth_key": "` + key + `"}`, []string{"Content-Type", ""}, 415, "UNSUPPORTED_MEDIA_TYPE", ""},
		"another Content-Type":      {"POST", "/v1/auth", `auth_key=` + key, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE", ""},
		"a key of 10,000":           {"POST", "/v1/auth", `{"auth_key": "` + strings.Repeat(key, 220) + `"}`, nil, 401, "MALFORMED", ""},
		"a NUL in the key":          {"POST", "/v1/auth", `{"auth_key": "` + key + `\u0000"}`, nil, 401, "MALFORMED", ""},
		"SQL as the key":            {"POST", "/v1/auth", `{"auth_key": "` + sql + `"}`, nil, 401, "MALFORMED", ""},
		"invalid UTF-8":             {"POST", "/v1/auth", "{\"auth_key\": \"" + key + "\xff\"}", nil, 400, "MALFORMED_REQUEST", ""},
		"another method":            {"GET", "/v1/auth", ``, nil, 405, "METHOD_NOT_SUPPORTED", ""},
		"another path":              {"POST", "/v1/aut", `{}`, nil, 404, "NOT_FOUND", ""},
		"two Authorization schemes": {"POST", "/v1/auth", `{"auth_key": "` + key + `"}`, []string{"Authorization", "Basic " + key}, 401, "UNAUTHENTICATED", ""},

		"admin: no credential":       {"GET", "/api/v1/keys", ``, []string{"Authorization", ""}, 401, "UNAUTHENTICATED", ""},
		"admin: an API key":          {"GET", "/api/v1/keys", ``, []string{"Authorization", "Bearer " + key}, 401, "KEY_NOT_FOUND", ""},
		"admin: garbage":             {"GET", "/api/v1/keys", ``, []string{"Authorization", "Bearer " + key + "x"}, 401, "MALFORMED", ""},
		"admin: unknown query":       {"GET", "/api/v1/keys?q=" + key, ``, nil, 422, "INVALID_VALUE", ""},
		"admin: NUL in a query":      {"GET", "/api/v1/users?username=%00" + key, ``, nil, 422, "INVALID_VALUE", "query"},
		"admin: a query of bytes":    {"GET", "/api/v1/plans?slug=%ff" + key, ``, nil, 422, "INVALID_VALUE", "query"},
		"admin: NUL in a path":       {"GET", "/api/v1/keys/%00" + key, ``, nil, 422, "INVALID_VALUE", "path"},
		"admin: the year 0":          {"POST", "/api/v1/keys", `{"name": "k", "not_before": "0000-01-01T00:00:00Z"}`, nil, 422, "INVALID_VALUE", "not_before"},
		"admin: the year 10000":      {"POST", "/api/v1/keys", `{"name": "k", "expires_at": "9999-12-31T23:59:59-23:00"}`, nil, 422, "INVALID_VALUE", "expires_at"},
		"admin: a bad cursor":        {"GET", "/api/v1/keys?cursor=" + key, ``, nil, 422, "INVALID_VALUE", "cursor"},
		"admin: limit 201":           {"GET", "/api/v1/keys?limit=201", ``, nil, 422, "INVALID_VALUE", "limit"},
		"admin: a key as an id":      {"GET", "/api/v1/keys/" + key, ``, nil, 404, "NOT_FOUND", ""},
		"admin: an id of a user":     {"GET", "/api/v1/keys/" + user, ``, nil, 404, "NOT_FOUND", "key_"},
		"admin: an unknown id":       {"GET", "/api/v1/keys/key_01a200b384db74eb8a6c7cc7d79ac7f3", ``, nil, 404, "NOT_FOUND", ""},
		"admin: a time in a query":   {"GET", "/api/v1/audit-events?since=yesterday", ``, nil, 422, "INVALID_VALUE", "such as 2026-01-31T00:00:00Z; in an address a + is written as %2B"},
		"admin: a + in a time":       {"GET", "/api/v1/keys?expires_before=2026-01-31T00:00:00+01:00", ``, nil, 422, "INVALID_VALUE", "such as 2026-01-31T00:00:00Z; in an address a + is written as %2B"},
		"admin: a time in a body":    {"POST", "/api/v1/keys", `{"name": "k", "expires_at": "2026-01-31"}`, nil, 422, "INVALID_VALUE", `{"location":"body.expires_at","message":"want a time as RFC 3339 writes it, such as 2026-01-31T00:00:00Z"}`},
		"admin: in Spanish":          {"GET", "/api/v1/audit-events?until=2026-01-31", ``, []string{"Accept-Language", "es"}, 422, "INVALID_VALUE", `{"location":"query.until","message":"se espera una fecha y hora según RFC 3339, como 2026-01-31T00:00:00Z; en una dirección, un + se escribe %2B"}`},
		"admin: 1.0 of a number":     {"POST", "/api/v1/users", `{"name": "u", "max_keys": 1.0}`, nil, 422, "INVALID_VALUE", `{"location":"body.max_keys","message":"want a whole number, in digits alone"}`},
		"admin: 1.0 in a PATCH":      {"PATCH", "/api/v1/users/" + user, `{"max_keys": 1.0}`, nil, 422, "INVALID_VALUE", `{"location":"body.max_keys","message":"want a whole number, in digits alone"}`},
		"admin: no name":             {"POST", "/api/v1/keys", `{}`, nil, 422, "INVALID_VALUE", `{"location":"body.name","message":"this is needed"}`},
		"admin: malformed JSON":      {"POST", "/api/v1/keys", `{"name": "` + key, nil, 400, "MALFORMED_REQUEST", ""},
		"admin: unknown member":      {"POST", "/api/v1/keys", `{"name": "k", "nmae": "` + key + `"}`, nil, 422, "INVALID_VALUE", "nmae"},
		"admin: the key as a member": {"POST", "/api/v1/keys", `{"name": "k", "` + key + `": 1}`, nil, 422, "INVALID_VALUE", ""},
		"admin: wrong types":         {"POST", "/api/v1/keys", `{"name": {"a": "` + key + `"}, "scopes": 1}`, nil, 422, "INVALID_VALUE", "scopes"},
		"admin: duplicate members":   {"POST", "/api/v1/keys", `{"name": "a", "name": "b"}`, nil, 400, "MALFORMED_REQUEST", "name"},
		"admin: NUL":                 {"POST", "/api/v1/keys", `{"name": "a\u0000b"}`, nil, 422, "INVALID_VALUE", "name"},
		"admin: NUL in metadata":     {"POST", "/api/v1/keys", `{"name": "a", "metadata": {"a": ["\u0000"]}}`, nil, 422, "INVALID_VALUE", "metadata"},
		"admin: control characters":  {"POST", "/api/v1/keys", `{"name": "a\nb"}`, nil, 422, "INVALID_VALUE", "name"},
		"admin: two MiB":             {"POST", "/api/v1/keys", `{"name": "` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, "TOO_LARGE", ""},
		"admin: no Content-Type":     {"POST", "/api/v1/keys", `{"name": "k"}`, []string{"Content-Type", ""}, 415, "UNSUPPORTED_MEDIA_TYPE", ""},
		"admin: no body":             {"POST", "/api/v1/keys", ``, nil, 400, "NO_BODY", ""},
		"admin: big metadata":        {"POST", "/api/v1/keys", `{"name": "k", "metadata": {"a": "` + strings.Repeat("x", 5000) + `"}}`, nil, 422, "INVALID_VALUE", "metadata"},
		"admin: metadata no object":  {"POST", "/api/v1/keys", `{"name": "k", "metadata": [1]}`, nil, 422, "INVALID_VALUE", "metadata"},
		"admin: expires in the past": {"POST", "/api/v1/keys", `{"name": "k", "expires_at": "2001-01-01T00:00:00Z"}`, nil, 422, "INVALID_VALUE", "expires_at"},
		"admin: a network":           {"POST", "/api/v1/keys", `{"name": "k", "allow_cidrs": ["10.0.0.0/33"]}`, nil, 422, "INVALID_VALUE", "allow_cidrs[0]"},
		"admin: a foreign scope":     {"POST", "/api/v1/keys", `{"name": "k", "kind": "management", "scopes": ["reports:read"]}`, nil, 422, "INVALID_VALUE", "scopes[0]"},
		"admin: a filter twice":      {"GET", "/api/v1/keys?status=active&status=revoked", ``, nil, 422, "INVALID_VALUE", "query.status"},
		"admin: a semicolon":         {"GET", "/api/v1/keys?status=active;kind=api", ``, nil, 422, "INVALID_VALUE", "query"},
		"admin: the key, twice":      {"GET", "/api/v1/keys?" + key + "=1&" + key + "=2", ``, nil, 422, "INVALID_VALUE", ""},
		"admin: a key in an address": {"GET", "/api/v1/keys?q=auth_key%3D" + key, ``, nil, 422, "INVALID_VALUE", "query.q"},
		"admin: in another case":     {"POST", "/api/v1/keys", `{"name": "k", "Scopes": ["*"]}`, nil, 422, "INVALID_VALUE", "body.Scopes"},
		"admin: a body for nothing":  {"POST", "/api/v1/keys/" + id + "/disable", `{"reason": "` + key + `"}`, nil, 422, "INVALID_VALUE", "body.reason"},
		"admin: the key for nothing": {"POST", "/api/v1/keys/" + id + "/disable", `"` + key + `"`, nil, 422, "INVALID_VALUE", "body"},
		"admin: a key as its member": {"DELETE", "/api/v1/keys/" + id, `{"` + key + `": 1}`, nil, 422, "INVALID_VALUE", "body"},
		"admin: another If-Match":    {"PATCH", "/api/v1/keys/" + id, `{"name": "k"}`, []string{"If-Match", `"99"`}, 412, "OUTDATED", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &replica{t: t, url: r.url}
			headers := test.headers
			if strings.HasPrefix(name, "admin:") {
				headers = append([]string{"Authorization", "Bearer " + admin}, headers...)
			}
			a := r.send(test.method, test.path, test.body, headers...)
			if a.status != test.status || a.code() != test.code {
				t.Errorf("%d %s, want %d %s: %s", a.status, a.code(), test.status, test.code, a.raw)
			}
			if !strings.Contains(a.raw, test.says) {
				t.Errorf("the answer does not say %q: %s", test.says, a.raw)
			}
			if got := a.header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type %q", got)
			}
			if a.header.Get("X-Request-Id") == "" || a.text("request_id") != a.header.Get("X-Request-Id") {
				t.Error("the request id is not in both header and body")
			}
			for part := range strings.SplitSeq(a.raw+fmt.Sprint(a.header), `"`) {
				if strings.Contains(part, key[12:30]) || strings.Contains(part, admin[4:30]) {
					t.Errorf("a key is echoed: %s", a.raw)
				}
			}
		})
	}
	for _, secret := range []string{key[12:30], admin[4:30]} {
		if strings.Contains(r.logs.String(), secret) {
			t.Error("a key is in the log")
		}
	}
}

// Every text that the API takes is fed SQL; it is kept to the letter or refused
// by its rule, and everything is still there afterwards.
func TestSQLInEveryText(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	const sql = `'); DROP TABLE keys; -- \' ? $1 %s "`
	quoted, _ := json.Marshal(sql)
	for path, members := range map[string][]string{
		"/api/v1/users":         {"name", "username", "email", "external_id", "kind", "role", "metadata"},
		"/api/v1/plans":         {"name", "slug", "scopes"},
		"/api/v1/keys":          {"name", "kind", "environment", "owner_id", "subscription_id", "plan", "scopes", "tags", "allow_cidrs", "deny_cidrs", "allow_methods", "allow_paths", "not_before", "expires_at"},
		"/api/v1/subscriptions": {"user_id", "plan_id", "status", "trial_ends_at"},
	} {
		for _, member := range members {
			value := string(quoted)
			switch member {
			case "scopes", "tags", "allow_cidrs", "deny_cidrs", "allow_methods", "allow_paths":
				value = "[" + value + "]"
			case "metadata":
				value = `{"a":` + value + `}`
			}
			body := fmt.Sprintf(`{"name": "n", "slug": "s-%s", %q: %s}`, strings.ReplaceAll(member, "_", "-"), member, value)
			if path != "/api/v1/plans" || member == "slug" {
				body = strings.Replace(body, fmt.Sprintf(`"slug": "s-%s", `, strings.ReplaceAll(member, "_", "-")), "", 1)
			}
			if path == "/api/v1/subscriptions" || member == "name" {
				body = strings.Replace(body, `"name": "n", `, "", 1)
			}
			a := r.send("POST", path, body, "Authorization", "Bearer "+admin)
			if a.status != http.StatusCreated && a.status != http.StatusUnprocessableEntity {
				t.Errorf("%s %s: %d %s", path, member, a.status, a.raw)
			}
			if a.status == http.StatusCreated && member == "name" && a.text("name") != sql && a.text("key", "name") != sql {
				t.Errorf("%s %s was altered: %s", path, member, a.raw)
			}
		}
		for _, query := range []string{"cursor", "owner_id", "plan", "username", "slug", "user_id"} {
			a := r.send("GET", path+"?"+query+"=%27%3B+DROP+TABLE+keys%3B--", "", "Authorization", "Bearer "+admin)
			if a.status != http.StatusOK && a.status != http.StatusUnprocessableEntity {
				t.Errorf("%s?%s: %d %s", path, query, a.status, a.raw)
			}
		}
	}
	r.call(admin, "GET", "/api/v1/keys", nil, 200)
}
