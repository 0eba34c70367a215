package app_test

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// A condition that is empty, as from a variable that was never set, is refused: to
// drop it would leave more keys than were meant, for an action all of somebody's.
func TestAnEmptyConditionIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci", "tags": []string{"a"}}, 201)
	for name, value := range map[string]string{"owner_id": "", "plan": "", "tag": "", "scope": "", "q": "", " q": " \t ", " scope": " "} {
		name = strings.TrimSpace(name)
		for _, filter := range []m{{name: value}, {"kind": "api", name: value}} {
			for _, dry := range []bool{true, false} {
				a := r.call(admin, "POST", "/api/v1/keys/bulk-action", m{"action": "revoke", "filter": filter, "dry_run": dry}, 422)
				if !strings.Contains(a.raw, `"body.filter.`+name+`"`) {
					t.Errorf("%v: %s", filter, a.raw)
				}
			}
		}
	}
	at := "/api/v1/keys/"
	for path, method := range map[string]string{
		"/api/v1/keys?tag=": "GET", "/api/v1/keys?kind=api&tag": "GET", "/api/v1/keys/export?q=": "GET", "/api/v1/users?username=": "GET",
		"/api/v1/keys?q=%20%20%20": "GET", "/api/v1/keys/export?q=%09": "GET", "/api/v1/users?q=%20": "GET", "/api/v1/plans?q=+++": "GET",
		"/api/v1/keys?scope=+":                                "GET", // which * would cover
		at + "by-start/" + k.text("key", "start") + "?last4=": "DELETE", at + k.text("key", "id") + "/revoke?wait=": "POST",
	} {
		if a := r.call(admin, method, path, nil, 422); !strings.Contains(a.raw, `"query.`) {
			t.Errorf("%s: %s", path, a.raw)
		}
	}
	r.expect(r.auth(k.text("secret")), 200, "VALID")
}

// What a key is bound to, and what a change or a repetition depends on, is never
// dropped for being empty, either: the key would be bound by nothing.
func TestAnEmptyBoundIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	for _, name := range []string{"owner_id", "plan", "subscription_id"} {
		one := m{"name": "ci", name: ""}
		for path, body := range map[string]m{"/api/v1/keys": one, "/api/v1/keys/bulk-issue": {"keys": []m{one}}} {
			if a := r.call(admin, "POST", path, body, 422); !strings.Contains(a.raw, "."+name+`","message":"want a text that is not empty"`) {
				t.Errorf("%s: %s", path, a.raw)
			}
		}
	}
	plan := r.call(admin, "POST", "/api/v1/plans", m{"name": "Pro", "slug": "pro"}, 201).text("id")
	for _, request := range [][]string{
		{"POST", "/api/v1/keys", `{"name":"ci"}`, "Idempotency-Key"},
		{"PATCH", "/api/v1/plans/" + plan, `{"name":"Gold"}`, "If-Match"},
	} {
		a := r.send(request[0], request[1], request[2], "Authorization", "Bearer "+admin, request[3], " ") // empty when it arrives
		if a.status != 422 || !strings.Contains(a.raw, `"header.`+request[3]+`"`) {
			t.Errorf("%v: %d %s", request, a.status, a.raw)
		}
	}
}

// What is of another action is refused with this one, as tags are.
func TestAnActionTakesWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	for name, value := range map[string]any{"reason": "key_compromise", "only": true} {
		a := r.call(admin, "POST", "/api/v1/keys/bulk-action", m{"action": "disable", "filter": m{"kind": "api"}, name: value}, 422)
		if !strings.Contains(a.raw, `"body.`+name+`"`) {
			t.Error(a.raw)
		}
	}
}
