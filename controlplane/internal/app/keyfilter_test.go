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
	for name, value := range map[string]string{"owner_id": "", "plan": "", "tag": "", "scope": "", "q": "", " q": " \t "} {
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
		at + "by-start/" + k.text("key", "start") + "?last4=": "DELETE", at + k.text("key", "id") + "/revoke?wait=": "POST",
	} {
		if a := r.call(admin, method, path, nil, 422); !strings.Contains(a.raw, `"query.`) {
			t.Errorf("%s: %s", path, a.raw)
		}
	}
	r.expect(r.auth(k.text("secret")), 200, "VALID")
}

// What is of another action is refused with this one, as tags are.
func TestAnActionTakesWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	for name, value := range map[string]any{"reason": "key_compromise", "only": true} {
		a := r.call(admin, "POST", "/api/v1/keys/bulk-action", m{"action": "disable", "filter": m{"kind": "api"}, name: value}, 422)
		if !strings.Contains(a.raw, `"body.reason"`) {
			t.Error(a.raw)
		}
	}
}
