package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// Rows from before a rule are judged as ever, and all else of them can be changed.

// A pattern that no key may be given any more binds those that have it.
func TestPatternsFromBeforeTheirRule(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "rotate_every_days": 1}, 201)
	id, secret := k.text("key", "id"), k.text("secret")
	at := "/api/v1/keys/" + id
	execute(t, dsn, `UPDATE keys SET allow_paths = '{"/files/*.pdf","/a%2fb","/reports"}' WHERE id = '`+strings.TrimPrefix(id, "key_")+"'")
	judged := func(secret string) {
		t.Helper()
		for path, want := range map[string]string{
			"/reports/7": "VALID", "/files/*.pdf": "VALID", "/files/a.pdf": "PATH_NOT_ALLOWED", "/a%2fb": "PATH_NOT_ALLOWED", "/a/b": "PATH_NOT_ALLOWED",
		} {
			a := r.send("POST", "/v1/auth", `{"auth_key":"`+secret+`","path":"`+path+`"}`, "Authorization", "Bearer "+admin)
			if a.text("code") != want {
				t.Errorf("%s: %s", path, a.raw)
			}
		}
	}
	judged(secret)
	r.call(admin, "PATCH", at, m{"name": "another", "tags": []string{"old"}}, 200)
	r.call(admin, "PATCH", at, m{"allow_paths": []string{"/reports", "/files/*.pdf", "/new"}}, 200)
	for _, body := range []m{{"allow_paths": []string{"/files/*.pdf", "/files/*.doc"}}, {"allow_paths": []string{"/a%2fb"}}} { // the latter is gone
		if a := r.call(admin, "PATCH", at, body, 422); !strings.Contains(a.raw, "body.allow_paths[") {
			t.Error(a.raw)
		}
	}
	next := r.call(secret, "POST", "/v1/keys/self/rotate", nil, 201)
	judged(next.text("secret"))
	r.call(admin, "PATCH", "/api/v1/keys/"+next.text("key", "id"), m{"name": "the successor"}, 200)
}

// Networks of IPv4 that were kept as IPv6 bind as they did, also once all is
// written anew; and so do those that hold no address of a client.
func TestNetworksFromBeforeTheirRule(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "rotate_every_days": 1}, 201)
	id, secret := k.text("key", "id"), k.text("secret")
	at := "/api/v1/keys/" + id
	execute(t, dsn, `UPDATE keys SET allow_cidrs = '{"::ffff:203.0.113.0/120","::ffff:127.0.0.0/104"}', deny_cidrs = '{"::ffff:203.0.113.9/128","::ffc0:0:0/90"}'
		WHERE id = '`+strings.TrimPrefix(id, "key_")+"'")
	judged := func(secret string) {
		t.Helper()
		for ip, want := range map[string]string{
			"203.0.113.7": "VALID", "::ffff:203.0.113.7": "VALID", "203.0.113.9": "IP_NOT_ALLOWED", "::ffff:203.0.113.9": "IP_NOT_ALLOWED", "198.51.100.7": "IP_NOT_ALLOWED",
		} {
			a := r.send("POST", "/v1/auth", `{"auth_key":"`+secret+`","client_ip":"`+ip+`"}`, "Authorization", "Bearer "+admin)
			if a.text("code") != want {
				t.Errorf("%s: %s", ip, a.raw)
			}
		}
	}
	judged(secret)
	shown := r.call(admin, "PATCH", at, m{"name": "another"}, 200).get("deny_cidrs")
	r.call(admin, "PATCH", at, m{"deny_cidrs": []any{shown.([]any)[0]}}, 200) // what was read can be sent
	judged(secret)
	judged(r.call(secret, "POST", "/v1/keys/self/rotate", nil, 201).text("secret"))
}

// Two live keys that have one label stay good, and each can be changed.
func TestLabelsFromBeforeTheirRule(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	var both []string
	for _, label := range []string{"main", "other"} {
		both = append(both, r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "label": label}, 201).text("key", "id"))
	}
	execute(t, dsn, "UPDATE keys SET label = 'main' WHERE label = 'other'")
	for _, id := range both {
		at := "/api/v1/keys/" + id
		r.call(admin, "PATCH", at, m{"name": "another", "expires_at": time.Now().Add(time.Hour), "rotate_every_days": 1}, 200)
		r.call(admin, "POST", at+"/disable", nil, 200)
		r.call(admin, "POST", at+"/enable", nil, 200)
	}
	if there := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "label": "main", "idempotent": true}, 200).text("key", "id"); there != both[0] && there != both[1] {
		t.Errorf("%s has the label", there)
	}
	r.call(admin, "POST", "/api/v1/keys/"+both[0]+"/rotate", nil, 201)
	r.call(admin, "POST", "/api/v1/keys/"+both[1]+"/revoke", nil, 200)
	r.call(admin, "POST", "/api/v1/keys/"+both[1]+"/restore", nil, 409) // it would come back beside the other's successor
}

// A subscription that ended with an end that is to come, or with none, stays ended
// and can be given the right one.
func TestEndsFromBeforeTheirRule(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	plan := r.tier(admin, "pro", nil)
	for name, end := range map[string]string{"to come": "now() + interval '1 day'", "none": "NULL"} {
		user := r.call(admin, "POST", "/api/v1/users", m{"name": name}, 201).text("id")
		id := r.call(admin, "POST", "/api/v1/subscriptions", m{"user_id": user, "plan_id": plan}, 201).text("id")
		at := "/api/v1/subscriptions/" + id
		r.call(admin, "POST", at+"/cancel", m{"when": "now"}, 200)
		execute(t, dsn, "UPDATE subscriptions SET period_end = "+end+" WHERE id = '"+strings.TrimPrefix(id, "sub_")+"'")
		r.call(admin, "POST", at+"/cancel", m{"when": "now"}, 200)
		r.call(admin, "PATCH", at, m{"period_start": time.Now().Add(-time.Hour)}, 200)
		r.call(admin, "PATCH", at, m{"period_end": time.Now().Add(48 * time.Hour)}, 409)
		r.call(admin, "PATCH", at, m{"status": "active"}, 409)
		a := r.call(admin, "PATCH", at, m{"status": "ended"}, 200)
		if ended, err := time.Parse(time.RFC3339Nano, a.text("ends_at")); a.text("status") != "ended" || err != nil || ended.After(time.Now()) {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
}
