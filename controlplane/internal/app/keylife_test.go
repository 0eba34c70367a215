package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// A rotated key works beside its successor until its overlap is over; a revoke
// takes the successor along, or spares it; a restore brings all back.
func TestRotateRevokeRestore(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	old := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "label": "main", "scopes": []string{"reports:read"}, "tags": []string{"a"}, "expires_in_days": 9}, 201)
	at := "/api/v1/keys/" + old.text("key", "id")
	next := r.call(admin, "POST", at+"/rotate", m{"overlap_hours": 1}, 201)
	for _, member := range []string{"name", "label", "owner_id", "expires_at", "environment"} {
		if got, want := next.get("key", member), old.get("key", member); got != want {
			t.Errorf("%s of the successor is %v, want %v", member, got, want)
		}
	}
	r.expect(r.auth(old.text("secret")), 200, "VALID")
	r.expect(r.auth(next.text("secret"), "scopes", []string{"reports:read"}), 200, "VALID")
	read := r.call(admin, "GET", at, nil, 200)
	if x := r.call(admin, "POST", "/v1/auth/explain", m{"auth_key": old.text("secret")}, 200); x.get("key", "expires_at") != read.get("retires_at") {
		t.Errorf("good until its overlap ends: %s", x.raw)
	}
	if read.text("status") != "retiring" || read.text("rotated_to") != next.text("key", "id") || next.text("key", "rotated_from") != read.text("id") {
		t.Error(read.raw)
	}
	if a := r.call(admin, "POST", at+"/rotate", nil, 409); a.code() != "NOT_ROTATABLE" || !strings.Contains(a.raw, next.text("key", "id")) {
		t.Error(a.raw)
	}
	third := r.call(admin, "POST", "/api/v1/keys/"+next.text("key", "id")+"/rotate", m{"overlap_hours": 0}, 201)
	r.expect(r.auth(next.text("secret")), 401, "RETIRED")
	r.expect(r.auth(third.text("secret")), 200, "VALID")

	r.call(admin, "POST", at+"/revoke", m{"only": true}, 200)
	r.expect(r.auth(third.text("secret")), 200, "VALID")
	r.call(admin, "POST", at+"/restore", nil, 200)
	r.call(admin, "POST", at+"/revoke", m{"reason": "superseded"}, 200)
	r.expect(r.auth(old.text("secret")), 401, "REVOKED")
	r.expect(r.auth(third.text("secret")), 401, "REVOKED")
	r.call(admin, "PATCH", at, m{"name": "x"}, 409)
	r.call(admin, "POST", at+"/restore", nil, 200)
	r.expect(r.auth(old.text("secret")), 200, "VALID")
	r.expect(r.auth(third.text("secret")), 200, "VALID")
	r.call(admin, "POST", at+"/revoke", m{"reason": "key_compromise"}, 200)
	r.call(admin, "POST", at+"/restore", nil, 409)
	r.expect(r.auth(third.text("secret")), 401, "REVOKED")
	// The key's own entry comes after its successors', for those who wait for it.
	events := r.call(admin, "GET", "/api/v1/audit-events?action=key.revoke&limit=1", nil, 200).get("data").([]any)
	if id := events[0].(m)["target"].(m)["id"]; id != old.text("key", "id") {
		t.Errorf("the last entry is of %v", id)
	}
	r.call(admin, "POST", at+"/rotate", nil, 409)
}

// A key is revoked by its ends, where they are enough to tell it from others.
func TestRevokeByStart(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	one := r.call(admin, "POST", "/api/v1/keys", m{"name": "one"}, 201)
	two := r.call(admin, "POST", "/api/v1/keys", m{"name": "two"}, 201)
	execute(t, dsn, "UPDATE keys SET start = 'lk_live_same' WHERE name IN ('one', 'two')")
	if a := r.call(admin, "DELETE", "/api/v1/keys/by-start/lk_live_same", nil, 409); a.code() != "AMBIGUOUS_START" {
		t.Error(a.raw)
	}
	r.call(admin, "DELETE", "/api/v1/keys/by-start/lk_live_same?last4="+one.text("key", "last4")+"&reason=key_compromise", nil, 204)
	r.expect(r.auth(one.text("secret")), 401, "REVOKED")
	r.expect(r.auth(two.text("secret")), 200, "VALID")
	r.call(admin, "DELETE", "/api/v1/keys/by-start/lk_live_same", nil, 204) // only one is left
	r.expect(r.auth(two.text("secret")), 401, "REVOKED")
	r.call(admin, "DELETE", "/api/v1/keys/by-start/lk_live_none", nil, 404)
}

// A deleted key is refused and shown nowhere.
func TestDelete(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "label": "l"}, 201)
	at := "/api/v1/keys/" + k.text("key", "id")
	r.call(admin, "DELETE", at, nil, 204)
	r.expect(r.auth(k.text("secret")), 401, "REVOKED")
	r.call(admin, "GET", at, nil, 404)
	r.call(admin, "DELETE", at, nil, 404)
	r.call(admin, "POST", at+"/restore", nil, 404)
	r.call(admin, "POST", at+"/enable", nil, 404)
	r.call(admin, "POST", "/api/v1/keys/lookup", m{"auth_key": k.text("secret")}, 404)
	for _, query := range []string{"", "?q=lk_", "?status=revoked", "?kind=api&sort=name"} {
		for _, id := range ids(r.call(admin, "GET", "/api/v1/keys"+query, nil, 200)) {
			if strings.HasSuffix(at, id) {
				t.Errorf("%s shows it", query)
			}
		}
	}
	r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "label": "l"}, 201)
}

// Whoever holds a key may look at it, revoke it and, where it is to be rotated
// regularly, rotate it; under the key's own rules about addresses.
func TestHoldersOwnKey(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	issue := func(body m) answer {
		body["name"] = "own"
		return r.call(admin, "POST", "/api/v1/keys", body, 201)
	}
	plain, narrow := issue(m{}), issue(m{"allow_methods": []string{"PUT"}, "allow_paths": []string{"/x"}})
	if a := r.call(plain.text("secret"), "GET", "/v1/keys/self", nil, 200); a.text("id") != plain.text("key", "id") {
		t.Error(a.raw)
	}
	r.call(narrow.text("secret"), "GET", "/v1/keys/self", nil, 200)
	if a := r.call(plain.text("secret"), "POST", "/v1/keys/self/rotate", nil, 409); a.code() != "NOT_ROTATABLE" {
		t.Error(a.raw)
	}
	if a := r.auth(plain.text("secret")); a.header.Get("Latchkey-Rotate-By") != "" {
		t.Error("a key that need not be rotated is told to be")
	}

	turning := issue(m{"rotate_every_days": 30, "rotate_overlap_hours": 5, "expires_in_days": 90})
	by, err := time.Parse(time.RFC3339, r.auth(turning.text("secret")).header.Get("Latchkey-Rotate-By"))
	if in := time.Until(by); err != nil || in < 29*24*time.Hour || in > 30*24*time.Hour {
		t.Errorf("rotate by %v: %v", by, err)
	}
	next := r.call(turning.text("secret"), "POST", "/v1/keys/self/rotate", nil, 201)
	if next.get("key", "expires_at") != turning.get("key", "expires_at") || next.get("key", "rotate_every_days") != 30.0 {
		t.Error(next.raw)
	}
	old := r.call(turning.text("secret"), "GET", "/v1/keys/self", nil, 200)
	retires, _ := time.Parse(time.RFC3339, old.text("retires_at"))
	if in := time.Until(retires); in < 4*time.Hour || in > 5*time.Hour || old.get("rotate_by") != nil {
		t.Error(old.raw)
	}
	r.call(turning.text("secret"), "POST", "/v1/keys/self/rotate", nil, 409)
	r.call(next.text("secret"), "POST", "/v1/keys/self/revoke", m{"reason": "key_compromise"}, 200)
	r.expect(r.auth(next.text("secret")), 401, "REVOKED")
	r.expect(r.auth(turning.text("secret")), 200, "VALID")

	away := issue(m{"allow_cidrs": []string{"203.0.113.0/24"}, "rotate_every_days": 1})
	for name, test := range map[string]struct {
		credential string
		status     int
		code       string
	}{
		"from another address": {away.text("secret"), 403, "IP_NOT_ALLOWED"},
		"revoked":              {next.text("secret"), 401, "REVOKED"},
		"a management key":     {admin, 401, "KEY_NOT_FOUND"},
		"nonsense":             {"nonsense", 401, "MALFORMED"},
	} {
		for _, path := range []string{"rotate", "revoke"} {
			a := r.call(test.credential, "POST", "/v1/keys/self/"+path, nil, test.status)
			if a.code() != test.code || a.header.Get("WWW-Authenticate") == "" && a.status == http.StatusUnauthorized {
				t.Errorf("%s, %s: %s", name, path, a.raw)
			}
		}
	}
	r.expect(r.send("GET", "/v1/keys/self", ""), 401, "MISSING_CREDENTIAL")
	if a := r.call(admin, "GET", "/api/v1/audit-events?actor_kind=holder", nil, 200); len(a.get("data").([]any)) != 3 {
		t.Errorf("the journal does not tell what holders did: %s", a.raw)
	}
}
