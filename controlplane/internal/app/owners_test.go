package app_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// Where an owner could sign in one always can: the last one stays, whoever asks,
// and of two who leave at the same moment one.
func TestTheLastOwnerStays(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	ada, adaID := r.signedIn(admin, "ada", "owner")
	stays := func(body string) {
		t.Helper()
		for _, a := range []answer{
			ada.do("PATCH", "/api/v1/users/"+adaID, body),
			r.send("PATCH", "/api/v1/users/"+adaID, body, "Authorization", "Bearer "+admin),
		} {
			if a.status != 409 || a.code() != "LAST_OWNER" {
				t.Errorf("%s: %d %s", body, a.status, a.raw)
			}
		}
		ada.want(200, "GET", "/api/v1/users", "")
	}
	stays(`{"role":"admin"}`)
	stays(`{"disabled":true}`)
	stays(`{"role":"member","name":"not this either"}`)
	stays(`{"username":null}`) // nobody could type in whom the password is of
	ada.want(200, "PATCH", "/api/v1/users/"+adaID, `{"name":"Ada Lovelace","role":"owner","disabled":false}`)

	// Who cannot sign in is nobody who could take the place.
	without := r.call(admin, "POST", "/api/v1/users", m{"name": "without a password", "username": "w", "role": "owner"}, 201).text("id")
	_, gone := r.signedIn(admin, "gone", "owner")
	r.call(admin, "PATCH", "/api/v1/users/"+gone, m{"disabled": true}, 200)
	stays(`{"role":"admin"}`)
	r.call(admin, "POST", "/api/v1/users/"+without+"/password", m{"password": password}, 204)
	r.call(admin, "PATCH", "/api/v1/users/"+without, m{"username": nil}, 200)
	stays(`{"role":"admin"}`)
	r.call(admin, "PATCH", "/api/v1/users/"+without, m{"role": "viewer"}, 200)

	for range 5 {
		r.call(admin, "PATCH", "/api/v1/users/"+gone, m{"disabled": false, "role": "owner"}, 200)
		r.call(admin, "PATCH", "/api/v1/users/"+adaID, m{"role": "owner"}, 200)
		answers := make([]answer, 2)
		var both sync.WaitGroup
		for i, id := range []string{adaID, gone} {
			both.Go(func() {
				answers[i], _ = r.try("PATCH", "/api/v1/users/"+id, `{"role":"admin"}`, "Authorization", "Bearer "+admin)
			})
		}
		both.Wait()
		if answers[0].status+answers[1].status != 200+409 {
			t.Fatalf("%d %s\n%d %s", answers[0].status, answers[0].raw, answers[1].status, answers[1].raw)
		}
	}
}

// The set-up token makes no owner who could not come in: with that the window
// would be closed, and everybody outside.
func TestTheSetUpTokenMakesNobodyWithoutAPassword(t *testing.T) {
	t.Parallel()
	for name, environment := range map[string][]string{"with a token": nil, "open to all": {"BOOTSTRAP_OPEN=true"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, pgtest.DSN(t), environment...)
			token := r.setUpToken()
			var credential []string
			if len(environment) == 0 {
				credential = []string{"Authorization", "Bearer " + token}
			}
			for _, body := range []string{`{"name":"Eve","role":"owner"}`, `{"name":"Eve","username":"eve","role":"owner"}`, `{"name":"Eve"}`} {
				if a := r.send("POST", "/api/v1/users", body, credential...); a.status != 403 {
					t.Errorf("%s: %d %s", body, a.status, a.raw)
				}
			}
			if a := r.send("POST", "/auth/v1/setup", credentials("ada", password), credential...); a.status != 201 {
				t.Errorf("the window is closed: %d %s", a.status, a.raw)
			}
		})
	}
}

// Who is needed to be signed in is told so, and not that a management key would do.
func TestMeNeedsASession(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	for _, path := range []string{"/api/v1/me", "/api/v1/me/keys"} {
		if a := r.send("GET", path, ""); a.status != 401 || !strings.Contains(a.text("fix"), "/auth/v1/login/local") {
			t.Errorf("%s: %d %s", path, a.status, a.raw)
		}
	}
	if a := r.send("GET", "/api/v1/users", ""); a.status != 401 || !strings.Contains(a.text("fix"), "management key") {
		t.Errorf("%d %s", a.status, a.raw)
	}
}

// A password that is too long in bytes is told of where it stands, as one that is
// too long in characters is.
func TestPasswordsOutOfBounds(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	b, id := r.signedIn(admin, "ada", "admin")
	long := strings.Repeat("ü", 513)
	for name, a := range map[string]answer{
		"set":    r.call(admin, "POST", "/api/v1/users/"+id+"/password", m{"password": long}, 422),
		"change": b.want(422, "POST", "/api/v1/me/password", `{"current_password":"`+password+`","password":"`+long+`"}`),
	} {
		if !strings.Contains(a.raw, `"location":"body.password"`) || strings.Contains(a.raw, "ü") {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	b.want(200, "GET", "/api/v1/me", "") // nothing was done
	r.call(admin, "POST", "/api/v1/users/"+id+"/password", m{"password": strings.Repeat("ü", 512)}, 204)
}
