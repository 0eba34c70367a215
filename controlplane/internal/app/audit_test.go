package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// numbers are those of the events of a page.
func (a answer) numbers() (all []int) {
	data, _ := a.get("data").([]any)
	for _, e := range data {
		n, _ := e.(map[string]any)["number"].(float64)
		all = append(all, int(n))
	}
	return all
}

func TestAuditEventsOverHTTP(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	issued := r.send("POST", "/api/v1/keys", `{"name":"ci"}`, "Authorization", "Bearer "+admin)
	key, secret := issued.text("key", "id"), issued.text("secret")
	r.call(admin, "PATCH", "/api/v1/keys/"+key, m{"name": "renamed"}, 200)
	r.call(admin, "POST", "/api/v1/keys/"+key+"/revoke", m{"reason": "superseded"}, 200)

	all := r.call(admin, "GET", "/api/v1/audit-events", nil, 200)
	if got := fmt.Sprint(all.numbers()); got != "[4 3 2 1]" {
		t.Errorf("the list is %s", got)
	}
	change := all.get("data").([]any)[1].(map[string]any)
	if got := fmt.Sprint(change["before"], change["after"], change["action"], change["target"]); got != "map[name:ci] map[name:renamed]key.updatemap[id:"+key+" kind:key name:renamed]" {
		t.Errorf("the change is %s", got)
	}
	for query, want := range map[string]string{
		"actor_kind=setup":                                      "[1]",
		"actor_kind=key&action=key.*":                           "[4 3 2]",
		"action=key.revoke":                                     "[4]",
		"target_id=" + key:                                      "[4 3 2]",
		"target_kind=plan":                                      "[]",
		"request_id=" + issued.header.Get("X-Request-Id"):       "[2]",
		"until=2001-01-01T00:00:00Z":                            "[]",
		"since=2001-01-01T00:00:00Z&until=2101-01-01T00:00:00Z": "[4 3 2 1]",
	} {
		if got := fmt.Sprint(r.call(admin, "GET", "/api/v1/audit-events?"+query, nil, 200).numbers()); got != want {
			t.Errorf("%s finds %s, want %s", query, got, want)
		}
	}
	first := r.call(admin, "GET", "/api/v1/audit-events?limit=3", nil, 200)
	r.call(admin, "POST", "/api/v1/keys", m{"name": "made between"}, 201)
	if got := fmt.Sprint(r.call(admin, "GET", "/api/v1/audit-events?limit=3&cursor="+first.text("next_cursor"), nil, 200).numbers()); got != "[1]" {
		t.Errorf("the second page is %s", got)
	}
	for _, query := range []string{
		"action=key", "action=key.**", "action=Key.revoke", "actor_kind=robot", "actor_id=%00", "target_id='", "since=yesterday", "limit=201", "limit=0",
		"cursor=x", "cursor=MQ", "cursor=MS4w", "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "key=" + secret,
	} {
		if a := r.send("GET", "/api/v1/audit-events?"+query, "", "Authorization", "Bearer "+admin); a.status != 422 || strings.Contains(a.raw, secret[12:]) {
			t.Errorf("%s: %d %s", query, a.status, a.raw)
		}
	}
	if a := r.send("GET", "/api/v1/audit-events/export", "", "Authorization", "Bearer "+admin); strings.Contains(a.raw, secret[12:]) || strings.Contains(a.raw, admin[4:]) {
		t.Error("a secret is in the log")
	}
}

// An export is one event a line, whole or visibly cut off.
func TestAuditExport(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	const n = 5000
	fill := func(entry string) {
		_, err := conn.Exec(t.Context(), `
			INSERT INTO audit_events (number, id, at, actor_kind, actor_id, action, target_kind, target_id, entry, mac)
			SELECT n, gen_random_uuid(), '2001-01-01', 'cli', '', 'dev.fill', 'x', '', `+entry+`, '' FROM generate_series(10, $1 + 9) AS n`, n)
		if err != nil {
			t.Fatal(err)
		}
	}
	fill(`json_build_object('number', n, 'at', '2001-01-01T00:00:00Z', 'action', 'dev.fill', 'actor', json_build_object('kind', 'cli'))::text`)
	lines, err := exported(t, r, admin, "?actor_kind=cli")
	if err != nil || len(lines) != n || lines[0]["number"] != float64(n+9) || lines[n-1]["number"] != float64(10) {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	if lines, err = exported(t, r, admin, "?action=key.*"); err != nil || len(lines) != 1 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	if a := r.send("GET", "/api/v1/audit-events/export?action=x", "", "Authorization", "Bearer "+admin); a.status != 422 {
		t.Errorf("%d %s", a.status, a.raw)
	}
	// A row in the middle that cannot be read: the stream has no end.
	if _, err := conn.Exec(t.Context(), "UPDATE audit_events SET entry = 'torn' WHERE number = 2000"); err != nil {
		t.Fatal(err)
	}
	if lines, err = exported(t, r, admin, "?actor_kind=cli"); err == nil || len(lines) == n {
		t.Errorf("a torn export looks whole: %d lines", len(lines))
	}
	eventually(t, "the cause is logged", func() bool { return strings.Contains(r.logs.String(), "an audit row cannot be read") })
}

func exported(t *testing.T, r *replica, token, query string) (lines []map[string]any, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/api/v1/audit-events/export"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "application/x-ndjson" {
		t.Errorf("%d %s", res.StatusCode, got)
	}
	scanner := bufio.NewScanner(res.Body)
	for scanner.Scan() {
		var line map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return lines, err
		}
		lines = append(lines, line)
	}
	return lines, scanner.Err()
}

func TestAuditVerifyOverHTTP(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	for range 3 {
		r.call(admin, "POST", "/api/v1/keys", m{"name": "k"}, 201)
	}
	whole := r.call(admin, "GET", "/api/v1/audit-events/verify", nil, 200)
	if whole.text("status") != "whole" || whole.get("rows") != float64(4) || whole.get("head", "number") != float64(4) || len(whole.text("head", "hash")) != 64 || whole.get("broken") != nil || whole.get("checkpoint") != nil {
		t.Errorf("%s", whole.raw)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "UPDATE audit_events SET entry = replace(entry, 'key.issue', 'key.update'), action = 'key.update' WHERE number = 3"); err != nil {
		t.Fatal(err)
	}
	broken := r.call(admin, "GET", "/api/v1/audit-events/verify", nil, 200)
	if broken.text("status") != "broken" || broken.get("broken", "number") != float64(3) || broken.get("rows") != float64(2) {
		t.Errorf("%s", broken.raw)
	}
}

// The head is logged when a replica starts, so that the log it wrote there proves
// what the database held then.
func TestTheHeadIsLogged(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	first := start(t, dsn)
	first.call(first.admin(), "POST", "/api/v1/keys", m{"name": "k"}, 201)
	head, err := first.app.DB.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := start(t, dsn)
	var line struct {
		Number int64
		Hash   string
	}
	eventually(t, "the head is logged", func() bool {
		for l := range strings.SplitSeq(second.logs.String(), "\n") {
			if strings.Contains(l, `"msg":"audit head"`) && json.Unmarshal([]byte(l), &line) == nil {
				return true
			}
		}
		return false
	})
	if got := fmt.Sprintf("%d:%s", line.Number, line.Hash); got != head.String() {
		t.Errorf("logged %s, the head is %s", got, head)
	}
}
