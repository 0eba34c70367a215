package app_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

func execute(t testing.TB, dsn, sql string, args ...any) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		t.Fatal(err)
	}
}

// A thousand keys are issued in one piece, or not at all.
func TestBulkIssue(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro", "scopes": []string{"a"}}, 201)
	batch := make([]m, 1000)
	for i := range batch {
		batch[i] = m{"name": fmt.Sprint("k", i), "plan": "pro", "tags": []string{"bulk"}}
	}
	begin := time.Now()
	a := r.call(admin, "POST", "/api/v1/keys/bulk-issue", m{"keys": batch}, 201)
	t.Logf("1,000 keys in %v", time.Since(begin))
	made := a.get("keys").([]any)
	for _, i := range []int{0, 500, 999} {
		if made[i].(m)["key"].(m)["name"] != fmt.Sprint("k", i) {
			t.Error("they are not in the order of the request")
		}
		r.expect(r.auth(made[i].(m)["secret"].(string)), 200, "VALID")
	}
	batch[7]["scopes"], batch[9]["expires_at"] = []string{"b"}, "2001-01-01T00:00:00Z"
	if a := r.call(admin, "POST", "/api/v1/keys/bulk-issue", m{"keys": batch}, 422); !strings.Contains(a.raw, "body.keys[9].expires_at") {
		t.Error(a.raw)
	}
	delete(batch[9], "expires_at")
	if a := r.call(admin, "POST", "/api/v1/keys/bulk-issue", m{"keys": batch}, 422); !strings.Contains(a.raw, "body.keys[7].scopes") {
		t.Error(a.raw)
	}
	r.call(admin, "POST", "/api/v1/keys/bulk-issue", m{"keys": []m{}}, 422)
	count := r.call(admin, "POST", "/api/v1/keys/bulk-action", m{"action": "revoke", "filter": m{"tag": "bulk"}, "dry_run": true}, 200)
	if count.get("matched") != 1000.0 {
		t.Errorf("%s", count.raw)
	}
	done := r.call(admin, "POST", "/api/v1/keys/bulk-action", m{"action": "tag", "filter": m{"tag": "bulk"}, "add_tags": []string{"new"}, "remove_tags": []string{"bulk"}}, 200)
	if done.get("changed") != 1000.0 || done.get("next_cursor") != nil {
		t.Error(done.raw)
	}
	begin = time.Now()
	done = r.call(admin, "POST", "/api/v1/keys/bulk-action", m{"action": "revoke", "filter": m{"tag": "new"}, "reason": "superseded"}, 200)
	t.Logf("1,000 revoked in %v", time.Since(begin))
	if done.get("matched") != 1000.0 || done.get("changed") != 1000.0 {
		t.Error(done.raw)
	}
	r.expect(r.auth(made[3].(m)["secret"].(string)), 401, "REVOKED")
	r.call(admin, "POST", "/api/v1/keys/bulk-action", m{"action": "revoke", "filter": m{}}, 422)
	r.call(admin, "POST", "/api/v1/keys/bulk-action", m{"action": "tag", "filter": m{"tag": "new"}}, 422)
}

// An action leaves alone what its caller could not change one by one.
func TestBulkActionsKeepToThePermissions(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	writer := r.call(admin, "POST", "/api/v1/keys", m{"name": "w", "kind": "management", "scopes": []string{"keys:write"}}, 201)
	r.call(admin, "POST", "/api/v1/keys", m{"name": "k"}, 201)
	a := r.call(writer.text("secret"), "POST", "/api/v1/keys/bulk-action", m{"action": "disable", "filter": m{"kind": "management", "status": "active"}}, 200)
	if a.get("matched") != 2.0 || a.get("changed") != 1.0 || a.get("refused") != 1.0 { // itself, but not the administrator
		t.Error(a.raw)
	}
	r.call(admin, "GET", "/api/v1/keys", nil, 200)
}

// The same label or Idempotency-Key makes one key, however many ask at once.
func TestIdempotentIssue(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r, two := start(t, dsn), start(t, dsn)
	admin := r.admin()
	r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro"}, 201)
	for name, ask := range map[string]struct {
		body   string
		header string
	}{
		"label":           {`{"name":"ci","label":"main","idempotent":true,"plan":"pro"}`, ""},
		"Idempotency-Key": {`{"name":"ci"}`, "0190-a"},
	} {
		var secrets atomic.Int64
		var seen sync.Map
		var all sync.WaitGroup
		for i := range 12 {
			at := []*replica{r, two}[i%2]
			all.Go(func() {
				a, err := at.try("POST", "/api/v1/keys", ask.body, "Authorization", "Bearer "+admin, "Idempotency-Key", ask.header)
				if err != nil || a.status != 200 && a.status != 201 {
					t.Errorf("%s: %v %d %s", name, err, a.status, a.raw)
					return
				}
				if (a.text("secret") != "") != (a.status == 201) {
					t.Errorf("%s: a secret with %d", name, a.status)
				}
				if a.status == 201 {
					secrets.Add(1)
				}
				seen.Store(a.text("key", "id"), true)
			})
		}
		all.Wait()
		n := 0
		seen.Range(func(any, any) bool { n++; return true })
		if n != 1 || secrets.Load() != 1 {
			t.Errorf("%s: %d keys and %d secrets", name, n, secrets.Load())
		}
	}
	send := func(body, key string) answer {
		return r.send("POST", "/api/v1/keys", body, "Authorization", "Bearer "+admin, "Idempotency-Key", key)
	}
	if a := send(`{"name":"other"}`, "0190-a"); a.status != 422 || a.code() != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if a := send(`{ "name": "ci" }`, "0190-a"); a.status != 200 {
		t.Errorf("the same in another form: %d %s", a.status, a.raw)
	}
	if a := send(`{"name":"x","label":"main"}`, ""); a.status != 409 || a.code() != "ALREADY_EXISTS" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	bulk := func() answer {
		return r.send("POST", "/api/v1/keys/bulk-issue", `{"keys":[{"name":"a"},{"name":"ci","label":"main","idempotent":true},{"name":"b"}]}`, "Authorization", "Bearer "+admin, "Idempotency-Key", "0190-b")
	}
	first, second := bulk(), bulk()
	if first.status != 201 || second.status != 200 || strings.Contains(second.raw, "secret") || strings.Count(first.raw, `"secret"`) != 2 {
		t.Errorf("%d %s, then %d %s", first.status, first.raw, second.status, second.raw)
	}
	for i := range 3 {
		if a, b := first.get("keys").([]any)[i].(m)["key"].(m)["id"], second.get("keys").([]any)[i].(m)["key"].(m)["id"]; a != b {
			t.Errorf("key %d is %v, then %v", i, a, b)
		}
	}
	execute(t, dsn, "UPDATE idempotency SET created_at = created_at - interval '25 hours'")
	if a := send(`{"name":"other"}`, "0190-a"); a.status != 201 {
		t.Errorf("a day later: %d %s", a.status, a.raw)
	}
}

// However many ask at once, nobody gets more keys than allowed; and retiring,
// revoked and expired keys do not count.
func TestMaxKeys(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r, two := start(t, dsn), start(t, dsn)
	admin := r.admin()
	plan := r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro", "max_keys": 5, "key_max_lifetime_days": 30}, 201).text("id")
	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	body, _ := json.Marshal(m{"name": "k", "owner_id": user, "plan": "pro"})
	var made, refused atomic.Int64
	var mine sync.Map
	var all sync.WaitGroup
	for i := range 24 {
		at := []*replica{r, two}[i%2]
		all.Go(func() {
			switch a, err := at.try("POST", "/api/v1/keys", string(body), "Authorization", "Bearer "+admin); {
			case err == nil && a.status == 201:
				made.Add(1)
				mine.Store(a.text("key", "id"), a)
			case err == nil && a.code() == "MAX_KEYS_EXCEEDED":
				refused.Add(1)
			default:
				t.Errorf("%v %d %s", err, a.status, a.raw)
			}
		})
	}
	all.Wait()
	if made.Load() != 5 || refused.Load() != 19 {
		t.Fatalf("%d keys were made and %d refused", made.Load(), refused.Load())
	}
	issue := func(status int) answer {
		t.Helper()
		return r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "owner_id": user, "plan": "pro"}, status)
	}
	var held []string
	mine.Range(func(id, a any) bool {
		held = append(held, "/api/v1/keys/"+id.(string))
		if at, _ := time.Parse(time.RFC3339, a.(answer).text("key", "expires_at")); time.Until(at) > 30*24*time.Hour || time.Until(at) < 29*24*time.Hour {
			t.Errorf("it expires at %v under a plan of 30 days", at)
		}
		return true
	})
	r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "owner_id": user, "plan": "pro", "expires_in_days": 31}, 422)
	r.call(admin, "PATCH", held[0], m{"expires_at": nil}, 422)
	r.call(admin, "POST", held[0]+"/rotate", nil, 201)
	issue(409)
	r.call(admin, "POST", held[1]+"/disable", nil, 200)
	issue(409) // a disabled key may be enabled at any time
	r.call(admin, "POST", held[1]+"/revoke", nil, 200)
	issue(201)
	r.call(admin, "POST", held[1]+"/restore", nil, 409)
	r.call(admin, "POST", "/api/v1/keys", m{"name": "without the plan", "owner_id": user}, 201)
	r.call(admin, "PATCH", "/api/v1/plans/"+plan, m{"max_keys": 6}, 200)
	r.call(admin, "POST", held[1]+"/restore", nil, 200)
	r.call(admin, "PATCH", "/api/v1/users/"+user, m{"max_keys": 8}, 200)
	issue(201)
	issue(409)
	r.call(admin, "POST", "/api/v1/keys/bulk-issue", m{"keys": []m{{"name": "x"}, {"name": "y", "owner_id": user}}}, 409)
	execute(t, dsn, "UPDATE keys SET expires_at = now() - interval '1 hour', not_before = NULL WHERE id = '"+strings.TrimPrefix(held[2], "/api/v1/keys/key_")+"'")
	issue(201)
	if a := r.call(admin, "PATCH", held[2], m{"expires_at": time.Now().Add(time.Hour)}, 409); a.code() != "MAX_KEYS_EXCEEDED" {
		t.Error(a.raw)
	}
}

// The export has every key that the filters leave, and nothing in it runs in a
// spreadsheet.
func TestExportCSV(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	batch := []m{{"name": "=HYPERLINK(1)"}, {"name": "a, \"b\""}, {"name": "@x"}, {"name": "＝1+1"}}
	for i := range 700 {
		batch = append(batch, m{"name": fmt.Sprint("n", i), "environment": "test"})
	}
	r.call(admin, "POST", "/api/v1/keys/bulk-issue", m{"keys": batch}, 201)
	read := func(query string) [][]string {
		a := r.send("GET", "/api/v1/keys/export"+query, "", "Authorization", "Bearer "+admin)
		if lines := strings.Count(a.raw, "\n"); lines != strings.Count(a.raw, "\r\n") {
			t.Errorf("lines do not end as RFC 4180 says")
		}
		rows, err := csv.NewReader(bytes.NewReader([]byte(a.raw))).ReadAll()
		if err != nil || a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") {
			t.Fatalf("%v %d %s", err, a.status, a.header)
		}
		return rows
	}
	if rows := read("?environment=test&sort=name"); len(rows) != 701 || rows[1][4] != "n0" || rows[0][0] != "id" {
		t.Errorf("%d rows, %v", len(rows), rows[1])
	}
	names := map[string]bool{}
	for _, row := range read("?environment=live") {
		names[row[4]] = true
	}
	for _, want := range []string{"'=HYPERLINK(1)", `a, "b"`, "'@x", "'＝1+1"} {
		if !names[want] {
			t.Errorf("%q is missing in %v", want, names)
		}
	}
	r.call(admin, "GET", "/api/v1/keys/export?q=x", nil, 422)
}
