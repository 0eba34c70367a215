package app_test

import (
	"encoding/csv"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// lastUse is when and from where a key was last used, as the API says: the zero
// values where it says null.
func (r *replica) lastUse(token, id string) (at time.Time, from string) {
	r.t.Helper()
	a := r.call(token, "GET", "/api/v1/keys/"+id, nil, 200)
	if text := a.text("last_used_at"); text != "" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
			r.t.Fatal(err)
		}
	}
	return at, a.text("last_used_ip")
}

// isUsed waits until a key was used after a moment, and returns from where.
func (r *replica) isUsed(token, id string, after time.Time) (from string) {
	r.t.Helper()
	eventually(r.t, "the use is known", func() bool {
		var at time.Time
		at, from = r.lastUse(token, id)
		return at.After(after)
	})
	return from
}

// A key tells when and from where it was last admitted, at every door, and a
// management key when it last called; a look at a key, and a refusal, is no use.
func TestLastUse(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	begin := time.Now().Add(-time.Millisecond)
	secret, key := map[string]string{}, map[string]string{}
	for _, name := range []string{"auth", "behalf", "batch", "refused", "explained", "self", "looked up", "unused"} {
		secret[name], key[name] = f.issue(m{"name": name})
	}
	before := f.call(f.admin, "GET", "/api/v1/keys/"+key["auth"], nil, 200)
	if last := before.get("last_used_at"); last != nil {
		t.Errorf("never used, and the answer is %v", last)
	}
	caller := f.call(f.admin, "POST", "/api/v1/keys", m{"name": "caller", "kind": "management", "scopes": []string{"auth:on-behalf"}}, 201)
	reader := f.call(f.admin, "POST", "/api/v1/keys", m{"name": "reader", "kind": "management", "scopes": []string{"keys:read"}}, 201)
	head := f.headNumber()

	f.call(reader.text("secret"), "GET", "/api/v1/keys", nil, 200)
	f.expect(f.auth(secret["auth"]), 200, "VALID")
	f.call(caller.text("secret"), "POST", "/v1/auth", m{"auth_key": secret["behalf"], "client_ip": "203.0.113.7"}, 200)
	f.call(f.admin, "POST", "/v1/auth/explain", m{"auth_key": secret["explained"]}, 200)
	f.call(secret["self"], "GET", "/v1/keys/self", nil, 200)
	f.call(f.admin, "POST", "/api/v1/keys/lookup", m{"auth_key": secret["looked up"]}, 200)
	f.send("POST", "/v1/verify", `{"requests":[{"auth_key":"`+secret["batch"]+`"},{"auth_key":"`+secret["refused"]+`","scopes":["x"]}]}`)

	for id, want := range map[string]string{
		key["auth"]: "127.0.0.1", key["behalf"]: "203.0.113.7", key["batch"]: "127.0.0.1",
		caller.text("key", "id"): "127.0.0.1", reader.text("key", "id"): "127.0.0.1",
	} {
		if from := f.isUsed(f.admin, id, begin); from != want {
			t.Errorf("%s: used from %q, want %q", id, from, want)
		}
	}
	for _, name := range []string{"refused", "explained", "self", "looked up", "unused"} {
		if at, _ := f.lastUse(f.admin, key[name]); !at.IsZero() {
			t.Errorf("%s: used at %v", name, at)
		}
	}
	after := f.call(f.admin, "GET", "/api/v1/keys/"+key["auth"], nil, 200)
	if before.header.Get("ETag") != after.header.Get("ETag") || before.text("updated_at") != after.text("updated_at") {
		t.Errorf("a use changes the key: %s, then %s", before.raw, after.raw)
	}
	if now := f.headNumber(); now != head {
		t.Errorf("a use is in the journal: %d, then %d", head, now)
	}
	f.listsByUse(begin, key)
}

func (f *front) headNumber() int64 {
	f.t.Helper()
	head, err := f.app.DB.Head(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return head.Number
}

// listsByUse looks at TestLastUse's keys in lists.
func (f *front) listsByUse(begin time.Time, key map[string]string) {
	f.t.Helper()
	before := "&last_used_before=" + url.QueryEscape(begin.UTC().Format(time.RFC3339Nano))
	names := func(query string) (all []string) {
		for _, k := range f.call(f.admin, "GET", "/api/v1/keys?kind=api"+query, nil, 200).get("data").([]any) {
			all = append(all, k.(m)["name"].(string))
		}
		return all
	}
	if diff := cmp.Diff([]string{"refused", "explained", "self", "looked up", "unused"}, names(before+"&sort=last_used_at")); diff != "" {
		f.t.Errorf("never used: %s", diff)
	}
	if all := names("&sort=-last_used_at"); len(all) != 8 || all[7] != "refused" || all[3] != "unused" {
		f.t.Errorf("what was used comes first: %v", all)
	}
	matched := f.call(f.admin, "POST", "/api/v1/keys/bulk-action", m{
		"action": "disable", "dry_run": true, "filter": m{"kind": "api", "last_used_before": begin},
	}, 200).get("matched")
	if matched != 5.0 {
		f.t.Errorf("%v unused keys are matched", matched)
	}
	export := f.send("GET", "/api/v1/keys/export?kind=api&sort=-last_used_at", "", "Authorization", "Bearer "+f.admin)
	rows, err := csv.NewReader(strings.NewReader(export.raw)).ReadAll()
	if err != nil || len(rows) != 9 {
		f.t.Fatalf("%v: %s", err, export.raw)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	if last := rows[8]; rows[1][column["last_used_at"]] == "" || rows[1][column["last_used_ip"]] == "" || last[column["last_used_at"]] != "" || last[column["last_used_ip"]] != "" {
		f.t.Errorf("%v %v", rows[1], last)
	}
}

// After a rotation each of the two secrets shows on its own key.
func TestLastUseTellsOldFromNew(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	secret, old := f.issue(nil)
	next := f.call(f.admin, "POST", "/api/v1/keys/"+old+"/rotate", m{"overlap_hours": 1}, 201)
	rotated := time.Now()
	f.expect(f.auth(secret), 200, "VALID")
	f.isUsed(f.admin, old, rotated)
	if at, from := f.lastUse(f.admin, next.text("key", "id")); !at.IsZero() || from != "" {
		t.Errorf("the successor was used at %v from %q", at, from)
	}
	f.expect(f.auth(next.text("secret")), 200, "VALID")
	f.isUsed(f.admin, next.text("key", "id"), rotated)
}

// What was used a moment before a replica ends is not forgotten; and nothing that
// is told later makes it older.
func TestLastUseOutlivesTheReplica(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	f := frontOf(start(t, dsn), dsn)
	secret, key := f.issue(nil)
	begin := time.Now()
	f.expect(f.auth(secret), 200, "VALID")
	f.stop()
	next := start(t, dsn)
	used, _ := next.lastUse(f.admin, key)
	if !used.After(begin) {
		t.Fatalf("last used at %v, and it was after %v", used, begin)
	}
	other, _ := f.also(next).issue(nil)
	next.call(f.token, "GET", "/api/v1/keys", nil, 403) // it may tell of uses only
	tell := func(id string, at time.Time) {
		body := `{"uses":[{"key_id":"` + id + `","last_used_at":"` + at.UTC().Format(time.RFC3339Nano) + `","last_used_ip":"192.0.2.1"},{"key_id":"key_gone"}]}`
		if a := next.send("POST", "/edge/v1/usage", body, "Authorization", "Bearer "+f.token, "Latchkey-Edge", "1"); a.status != 204 {
			t.Fatal(a.raw)
		}
	}
	tell(key, used.Add(-time.Minute))
	tell(next.call(f.admin, "POST", "/api/v1/keys/lookup", m{"auth_key": other}, 200).text("id"), time.Now().Add(time.Hour))
	id := next.call(f.admin, "POST", "/api/v1/keys/lookup", m{"auth_key": other}, 200).text("id")
	if from := next.isUsed(f.admin, id, begin); from != "192.0.2.1" {
		t.Errorf("from %q", from)
	}
	if at, _ := next.lastUse(f.admin, id); at.After(time.Now()) {
		t.Errorf("used in the future: %v", at)
	}
	if at, from := next.lastUse(f.admin, key); !at.Equal(used) || from != "127.0.0.1" {
		t.Errorf("the last use moved from %v to %v, from %q", used, at, from)
	}
}
