package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

type m = map[string]any

// The main job: a fresh installation, its first management key, a user, a plan,
// a key with a scope; the key is good; every way in which it can be bad has its
// own code; revoked, it is refused at the next request, here and on a second
// replica.
func TestMainJob(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	one, two := start(t, dsn), start(t, dsn)
	admin := one.admin()
	acquainted(t, one, two)

	user := one.call(admin, "POST", "/api/v1/users", m{"name": "Ada", "external_id": "cust-1"}, 201).text("id")
	one.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro", "scopes": []string{"reports:*"}}, 201)
	issued := one.call(admin, "POST", "/api/v1/keys", m{
		"name": "ci", "owner_id": user, "plan": "pro", "scopes": []string{"reports:read"}, "metadata": m{"team": "a"},
	}, 201)
	key, id := issued.text("secret"), issued.text("key", "id")

	good := one.auth(key, "scopes", []string{"reports:read"})
	one.expect(good, 200, "VALID")
	for path, want := range map[string]any{"key.id": id, "key.name": "ci", "user.external_id": "cust-1", "subscription.plan": "pro", "key.metadata.team": "a", "key.environment": "live"} {
		if got := good.get(strings.Split(path, ".")...); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	two.expect(two.auth(key), 200, "VALID")

	one.call(admin, "POST", "/api/v1/keys/"+id+"/revoke", m{"reason": "key_compromise"}, 200)
	one.expect(one.auth(key), 401, "REVOKED")
	two.expect(two.auth(key), 401, "REVOKED") // at the very next request
	again := two.call(admin, "POST", "/api/v1/keys/"+id+"/revoke", nil, 200)
	if again.text("revoke_reason") != "key_compromise" {
		t.Errorf("the second revoke changed the first stamp: %s", again.raw)
	}
}

func TestEveryRefusalHasItsCode(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	issue := func(more m) (secret, id string) {
		t.Helper()
		body := m{"name": "k"}
		for name, v := range more {
			body[name] = v
		}
		a := r.call(admin, "POST", "/api/v1/keys", body, 201)
		return a.text("secret"), a.text("key", "id")
	}
	good, _ := issue(nil)
	unknown := strings.Replace(good, "lk_live_", "lk_test_", 1) // the checksum is of the whole: no longer right
	r.expect(r.auth(good), 200, "VALID")
	r.expect(r.send("POST", "/v1/auth", "{}"), 401, "MISSING_CREDENTIAL")
	r.expect(r.auth(unknown), 401, "MALFORMED")
	r.expect(r.auth(strings.Repeat("k", 10_000)), 401, "MALFORMED")
	r.expect(r.auth(admin), 401, "KEY_NOT_FOUND")
	r.expect(r.auth("lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"), 401, "KEY_NOT_FOUND")

	soon, _ := issue(m{"expires_at": time.Now().Add(300 * time.Millisecond)})
	later, _ := issue(m{"not_before": time.Now().Add(time.Hour)})
	eventually(t, "the key expires", func() bool { return r.auth(soon).code() == "EXPIRED" })
	r.expect(r.auth(soon), 401, "EXPIRED")
	r.expect(r.auth(later), 401, "NOT_YET_VALID")

	disabled, disabledID := issue(nil)
	r.expect(r.auth(disabled), 200, "VALID")
	r.call(admin, "POST", "/api/v1/keys/"+disabledID+"/disable", nil, 200)
	r.expect(r.auth(disabled), 401, "DISABLED")
	r.call(admin, "POST", "/api/v1/keys/"+disabledID+"/enable", nil, 200)
	eventually(t, "the key is enabled", func() bool { return r.auth(disabled).code() == "VALID" })

	scoped, _ := issue(m{"scopes": []string{"reports:read"}})
	r.expect(r.auth(scoped, "scopes", []string{"reports:write"}), 403, "INSUFFICIENT_SCOPE")
	r.expect(r.auth(scoped, "scopes_any", []string{"reports:write", "reports:read"}), 200, "VALID")

	elsewhere, _ := issue(m{"allow_cidrs": []string{"203.0.113.0/24"}})
	r.expect(r.auth(elsewhere), 403, "IP_NOT_ALLOWED")
	methods, _ := issue(m{"allow_methods": []string{"GET"}})
	r.expect(r.auth(methods), 403, "METHOD_NOT_ALLOWED")
	paths, _ := issue(m{"allow_paths": []string{"/reports"}})
	r.expect(r.auth(paths), 403, "PATH_NOT_ALLOWED")

	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	owned, _ := issue(m{"owner_id": user})
	r.expect(r.auth(owned), 200, "VALID")
	r.call(admin, "PATCH", "/api/v1/users/"+user, m{"disabled": true}, 200)
	r.expect(r.auth(owned), 403, "OWNER_DISABLED")

	r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro"}, 201)
	planned, plannedID := issue(m{"plan": "pro"})
	sub := r.call(admin, "GET", "/api/v1/keys/"+plannedID, nil, 200).text("subscription_id")
	for _, step := range []struct {
		patch  m
		status int
		code   string
	}{
		{m{"status": "paused"}, 403, "PLAN_INACTIVE"},
		{m{"status": "trialing", "trial_ends_at": time.Now().Add(time.Hour)}, 200, "VALID"},
		{m{"trial_ends_at": time.Now().Add(-time.Hour)}, 401, "TRIAL_ENDED"},
		{m{"status": "canceled", "period_end": time.Now().Add(time.Hour)}, 200, "VALID"},
		{m{"status": "ended"}, 403, "PLAN_INACTIVE"},
	} {
		r.call(admin, "PATCH", "/api/v1/subscriptions/"+sub, step.patch, 200)
		r.expect(r.auth(planned), step.status, step.code)
	}
	if figures := metrics(t, r); !strings.Contains(figures, `latchkey_door_shapeless_total{code="MALFORMED"} 2`) {
		t.Error("malformed keys are not counted")
	}
}

func metrics(t testing.TB, r *replica) string {
	t.Helper()
	ops := &replica{t: t, url: "http://" + r.app.OpsAddr()}
	return ops.send(http.MethodGet, "/metrics", "").raw
}

func TestOnBehalfOfAClient(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	key := r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "allow_cidrs": []string{"203.0.113.0/24"}, "allow_methods": []string{"GET"}, "allow_paths": []string{"/reports"}}, 201).text("secret")
	behalf := r.call(admin, "POST", "/api/v1/keys", m{"name": "b", "kind": "management", "scopes": []string{"auth:on-behalf"}}, 201).text("secret")
	reader := r.call(admin, "POST", "/api/v1/keys", m{"name": "r", "kind": "management", "scopes": []string{"keys:read"}}, 201).text("secret")
	ask := func(token, ip string) answer {
		body := `{"auth_key":"` + key + `","client_ip":"` + ip + `","method":"GET","path":"/reports/7"}`
		if token == "" {
			return r.send("POST", "/v1/auth", body)
		}
		return r.send("POST", "/v1/auth", body, "Authorization", "Bearer "+token)
	}
	r.expect(ask(behalf, "203.0.113.9"), 200, "VALID")
	r.expect(ask(behalf, "198.51.100.1"), 403, "IP_NOT_ALLOWED")
	r.expect(ask("", "203.0.113.9"), 403, "IP_NOT_ALLOWED") // not believed: judged by the connection's address
	r.expect(ask(reader, "203.0.113.9"), 403, "FORBIDDEN")
	r.expect(ask("lkm_nonsense", "203.0.113.9"), 401, "UNAUTHENTICATED")
}

func TestTheSetupWindowClosesForGood(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	older, _, _ := r.app.Bootstrap.Token(t.Context())
	newer, _, _ := r.app.Bootstrap.Token(t.Context())
	if a := r.send("POST", "/api/v1/keys", `{"name":"k"}`); a.status != 401 {
		t.Errorf("without a credential: %d %s", a.status, a.raw)
	}
	r.call(older.Reveal(), "GET", "/api/v1/keys", nil, 403)
	r.call(older.Reveal(), "POST", "/api/v1/keys", m{"name": "k"}, 403)
	first := m{"name": "admin", "kind": "management", "scopes": []string{"*"}}
	answers := make(chan int)
	for range 8 { // of many at the same moment, one gets in
		go func() {
			a, _ := r.try("POST", "/api/v1/keys", `{"name":"admin","kind":"management","scopes":["*"]}`, "Authorization", "Bearer "+newer.Reveal())
			answers <- a.status
		}()
	}
	made := 0
	for range 8 {
		if <-answers == 201 {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d first management keys were made", made)
	}
	r.call(older.Reveal(), "POST", "/api/v1/keys", first, 401)
	if _, open, err := r.app.Bootstrap.Token(t.Context()); open || err != nil {
		t.Errorf("the window is open: %v %v", open, err)
	}
}
