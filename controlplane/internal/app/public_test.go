package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// check finds a check of an explanation.
func (a answer) check(code string) map[string]any {
	checks, _ := a.get("checks").([]any)
	for _, c := range checks {
		if c.(map[string]any)["code"] == code {
			return c.(map[string]any)
		}
	}
	return nil
}

// failed lists the codes of the checks that failed, in order.
func (a answer) failed() (codes []string) {
	checks, _ := a.get("checks").([]any)
	for _, c := range checks {
		if c.(map[string]any)["result"] == "failed" {
			codes = append(codes, c.(map[string]any)["code"].(string))
		}
	}
	return codes
}

// An explanation names every check, what it compared with what and whose rule it
// is; it says what the door says, and leaves nothing behind.
func TestExplain(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	plan := r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro", "scopes": []string{"reports:*", "export"}}, 201)
	issued := r.call(admin, "POST", "/api/v1/keys", m{
		"name": "ci", "plan": "pro", "scopes": []string{"reports:read", "export"}, "allow_paths": []string{"/reports"},
		"allow_cidrs": []string{"203.0.113.0/24"}, "allow_methods": []string{"GET"}, "metadata": m{"team": "x"},
	}, 201)
	r.call(admin, "PATCH", "/api/v1/plans/"+plan.text("id"), m{"scopes": []string{"reports:*"}}, 200)
	key := issued.text("secret")
	explain := func(body m) answer {
		t.Helper()
		body["auth_key"] = key
		a := r.call(admin, "POST", "/v1/auth/explain", body, 200)
		delete(body, "auth_key")
		more := []any{"auth_key", key}
		for name, value := range body {
			more = append(more, name, value)
		}
		if code := r.onBehalf(admin, more...).code(); code != a.text("code") {
			t.Errorf("the door says %s, explained is %s", code, a.text("code"))
		}
		if strings.Contains(a.raw, key) {
			t.Error("the key is repeated")
		}
		return a
	}
	good := explain(m{"scopes": []string{"reports:read"}, "client_ip": "203.0.113.9", "method": "GET", "path": "/reports/7"})
	if len(good.failed()) != 0 || good.text("code") != "VALID" || good.get("valid") != true || good.text("key", "name") != "ci" || good.text("key", "metadata", "team") != "x" ||
		good.text("subscription", "plan") != "pro" || good.text("user", "id") == "" {
		t.Errorf("%s", good.raw)
	}
	bad := explain(m{"scopes_any": []string{"export"}, "client_ip": "192.0.2.1", "method": "PUT", "path": "/orders"})
	if got := fmt.Sprint(bad.failed()); got != "[IP_NOT_ALLOWED METHOD_NOT_ALLOWED PATH_NOT_ALLOWED INSUFFICIENT_SCOPE]" || bad.text("code") != "IP_NOT_ALLOWED" {
		t.Errorf("failed: %s, code %s", got, bad.text("code"))
	}
	for code, want := range map[string]string{
		"MALFORMED":          "map[code:MALFORMED result:passed source:credential]",
		"PATH_NOT_ALLOWED":   "map[code:PATH_NOT_ALLOWED input:map[path:/orders] result:failed rule:map[allow_paths:[/reports]] source:key]",
		"IP_NOT_ALLOWED":     "map[code:IP_NOT_ALLOWED input:map[client_ip:192.0.2.1] result:failed rule:map[allow_cidrs:[203.0.113.0/24] deny_cidrs:[]] source:key]",
		"PLAN_INACTIVE":      "active",
		"INSUFFICIENT_SCOPE": "source:plan", // the key has it, the plan took it away
	} {
		if got := fmt.Sprint(bad.check(code)); !strings.Contains(got, want) {
			t.Errorf("%s: %s", code, got)
		}
	}
	if got := fmt.Sprint(explain(m{"scopes": []string{"other"}, "client_ip": "203.0.113.9", "method": "GET", "path": "/reports"}).check("INSUFFICIENT_SCOPE")); !strings.Contains(got, "source:key") || !strings.Contains(got, "missing_scope:other") {
		t.Error(got)
	}
	// Revoked behind everybody's back is known at once, and all later checks are told.
	r.call(admin, "POST", "/api/v1/keys/"+issued.text("key", "id")+"/revoke", nil, 200)
	if got := explain(m{"client_ip": "192.0.2.1", "method": "GET", "path": "/reports"}).failed(); fmt.Sprint(got) != "[REVOKED IP_NOT_ALLOWED]" {
		t.Error(got)
	}
	for body, want := range map[string]string{
		`{}`: "MISSING_CREDENTIAL", `{"auth_key":"x"}`: "MALFORMED",
		`{"auth_key":"lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"}`: "KEY_NOT_FOUND",
		`{"auth_key":"` + admin + `"}`:                                  "KEY_NOT_FOUND",
	} {
		a := r.send("POST", "/v1/auth/explain", body, "Authorization", "Bearer "+admin)
		if a.status != 200 || a.text("code") != want || fmt.Sprint(a.failed()) != "["+want+"]" || len(a.get("checks").([]any)) != len(good.get("checks").([]any)) {
			t.Errorf("%s: %s", body, a.raw)
		}
	}
	lacking := r.call(admin, "POST", "/api/v1/keys", m{"name": "l", "kind": "management", "scopes": []string{"auth:on-behalf"}}, 201).text("secret")
	for token, status := range map[string]int{"": 401, key: 401, lacking: 403} {
		headers := []string{"Authorization", "Bearer " + token}
		if token == "" {
			headers = nil
		}
		if a := r.send("POST", "/v1/auth/explain", `{}`, headers...); a.status != status {
			t.Errorf("%d %s", a.status, a.raw)
		}
	}
}

// onBehalf asks the door as a caller who is believed.
func (r *replica) onBehalf(token string, more ...any) answer {
	r.t.Helper()
	body := m{}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return r.call(token, "POST", "/v1/verify", m{"requests": []any{body}}, 200).verdict(0)
}

// verdict is one of a batch.
func (a answer) verdict(n int) answer {
	all, _ := a.get("verdicts").([]any)
	body, _ := all[n].(map[string]any)
	return answer{status: a.status, header: a.header, raw: a.raw, body: body}
}

func TestPublicPlans(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	if a := r.send("GET", "/v1/plans", ""); a.status != 200 || a.raw != `{"data":[]}` {
		t.Errorf("%d %s", a.status, a.raw)
	}
	r.call(admin, "POST", "/api/v1/plans", m{"slug": "inner", "name": "Inner"}, 201)
	pro := r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro", "public": true}, 201)
	old := r.call(admin, "POST", "/api/v1/plans", m{"slug": "old", "name": "Old", "public": true}, 201)
	r.call(admin, "PATCH", "/api/v1/plans/"+old.text("id"), m{"archived": true}, 200)
	var list answer
	eventually(t, "the list shows the public plan that takes subscriptions", func() bool {
		list = r.send("GET", "/v1/plans", "")
		return list.raw == `{"data":[{"slug":"pro","name":"Pro","scopes":[],"trial_days":null}]}`
	})
	if a := r.send("GET", "/v1/plans", "", "If-None-Match", list.header.Get("ETag")); a.status != 304 || a.raw != "" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if a := r.call(admin, "PATCH", "/api/v1/plans/"+pro.text("id"), m{"public": false}, 200); a.get("public") != false {
		t.Error(a.raw)
	}
	eventually(t, "the list is empty again", func() bool { return r.send("GET", "/v1/plans", "").raw == `{"data":[]}` })
}

// Whoever prefers Spanish is told in Spanish, by every adapter; the code stays.
func TestProblemsInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	reader := r.call(admin, "POST", "/api/v1/keys", m{"name": "r", "kind": "management", "scopes": []string{"keys:read"}}, 201).text("secret")
	for name, test := range map[string]struct{ method, path, body, token, code, says string }{
		"a door":           {"POST", "/v1/auth", `{"auth_key":"x"}`, "", "MALFORMED", "No es una clave"},
		"many at a door":   {"POST", "/v1/verify", `{"requests":[{}]}`, "", "", "La petición no lleva ninguna clave."},
		"no credential":    {"GET", "/api/v1/keys", "", "", "UNAUTHENTICATED", "esto necesita una clave de gestión"},
		"a scope lacking":  {"GET", "/api/v1/users", "", reader, "FORBIDDEN", "esta credencial carece del ámbito users:read"},
		"a wrong value":    {"GET", "/api/v1/keys?limit=0", "", reader, "INVALID_VALUE", "Corrija lo que indica errors."},
		"a domain's rule":  {"POST", "/api/v1/plans", `{"name":"n","slug":"S P"}`, admin, "INVALID_VALUE", "de 1 a 64 caracteres de a-z, 0-9 y -, empezando por una letra o una cifra"},
		"no such thing":    {"GET", "/api/v1/keys/key_01a200b384db74eb8a6c7cc7d79ac7f3", "", reader, "NOT_FOUND", "no existe tal cosa"},
		"no such route":    {"GET", "/nowhere", "", "", "NOT_FOUND", "No encontrado"},
		"a broken body":    {"POST", "/v1/auth", `{`, "", "MALFORMED_REQUEST", "Petición mal formada"},
		"an unknown query": {"GET", "/api/v1/audit-events?x=1", "", admin, "INVALID_VALUE", "Valor no aceptable"},
	} {
		headers := []string{"Accept-Language", "es-ES,es;q=0.9,en;q=0.8"}
		if test.token != "" {
			headers = append(headers, "Authorization", "Bearer "+test.token)
		}
		a := r.send(test.method, test.path, test.body, headers...)
		if a.code() != test.code || !strings.Contains(a.raw, test.says) || a.header.Get("Content-Language") != "es" || !strings.Contains(fmt.Sprint(a.header.Values("Vary")), "Accept-Language") {
			t.Errorf("%s: %v %s", name, a.header, a.raw)
		}
		headers[1] = "en"
		if a := r.send(test.method, test.path, test.body, headers...); a.code() != test.code || strings.Contains(a.raw, test.says) || a.header.Get("Content-Language") != "en" {
			t.Errorf("%s in English: %v %s", name, a.header, a.raw)
		}
	}
}
