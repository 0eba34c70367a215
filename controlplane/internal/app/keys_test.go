package app_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// ids lists the ids on a page.
func ids(a answer) (all []string) {
	data, _ := a.get("data").([]any)
	for _, k := range data {
		all = append(all, k.(m)["id"].(string))
	}
	return all
}

// A list holds what each filter leaves, alone and together, and nothing else.
func TestKeyFilters(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	r.call(admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro"}, 201)
	made := map[string]answer{}
	for name, body := range map[string]m{
		"plain":    {},
		"owned":    {"owner_id": user, "scopes": []string{"reports:*"}},
		"planned":  {"owner_id": user, "plan": "pro", "tags": []string{"team/a"}},
		"tested":   {"environment": "test", "scopes": []string{"reports:read"}},
		"ending":   {"expires_in_days": 3, "tags": []string{"team/a", "b"}},
		"later":    {"not_before": time.Now().Add(time.Hour)},
		"disabled": {"owner_id": user},
		"revoked":  {"plan": "pro"},
		"rotated":  {"scopes": []string{"*"}},
	} {
		body["name"] = name
		made[name] = r.call(admin, "POST", "/api/v1/keys", body, 201)
	}
	id := func(name string) string { return made[name].text("key", "id") }
	r.call(admin, "POST", "/api/v1/keys/"+id("disabled")+"/disable", nil, 200)
	r.call(admin, "POST", "/api/v1/keys/"+id("revoked")+"/revoke", nil, 200)
	r.call(admin, "POST", "/api/v1/keys/"+id("rotated")+"/rotate", nil, 201)
	for query, want := range map[string]string{
		"owner_id=" + user:                         "owned planned disabled",
		"owner_id=" + user + "&status=active":      "owned planned",
		"plan=pro":                                 "planned revoked",
		"plan=pro&status=revoked":                  "revoked",
		"plan=none":                                "",
		"environment=test":                         "tested",
		"kind=management":                          "admin",
		"kind=management&environment=live":         "",
		"status=retiring":                          "rotated",
		"status=not_yet_valid":                     "later",
		"status=disabled&kind=api":                 "disabled",
		"tag=team/a":                               "planned ending",
		"tag=team/a&owner_id=" + user:              "planned",
		"scope=reports:read&status=active":         "owned tested rotated admin",
		"expires_before=2099-01-01T00:00:00Z":      "ending",
		"q=PLAN":                                   "planned",
		"q=" + made["owned"].text("key", "last4"):  "owned",
		"q=" + made["tested"].text("key", "start"): "tested",
		"q=%25%25%25":                              "",
		"q=___":                                    "",
		"status=active&expires_before=2001-01-01T00:00:00Z":    "",
		"last_used_before=2001-01-01T00:00:00Z&kind=api&tag=b": "ending",
		"last_used_before=2001-01-01T00:00:00Z&plan=pro":       "planned revoked",
	} {
		for _, sort := range []string{"", "&sort=name", "&sort=-expires_at", "&sort=last_used_at"} {
			page := r.call(admin, "GET", "/api/v1/keys?"+query+sort, nil, 200)
			got := map[string]bool{}
			for _, k := range page.get("data").([]any) {
				got[k.(m)["name"].(string)] = true
			}
			for name := range strings.FieldsSeq(want) {
				if !got[name] {
					t.Errorf("%s%s lacks %s", query, sort, name)
				}
				delete(got, name)
			}
			if len(got) > 0 {
				t.Errorf("%s%s also has %v", query, sort, got)
			}
		}
	}
}

// In every order pages follow each other without a gap or a repetition.
func TestKeyOrders(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn)
	admin := r.admin()
	tag := []string{"mine"}
	for i, name := range []string{"b", "a", "c", "a", "ä", "b"} {
		body := m{"name": name, "tags": tag}
		if i%2 == 0 {
			body["expires_at"] = time.Now().Add(time.Duration(10-i) * time.Hour)
		}
		r.call(admin, "POST", "/api/v1/keys", body, 201)
	}
	execute(t, dsn, "UPDATE keys SET last_used_at = now() WHERE name IN ('a', 'c') AND kind = 'api'")
	for _, narrow := range []string{"tag=mine", "kind=api", "status=active&kind=api"} {
		for _, sort := range []string{"created_at", "-created_at", "name", "-name", "expires_at", "-expires_at", "last_used_at", "-last_used_at"} {
			whole := ids(r.call(admin, "GET", "/api/v1/keys?"+narrow+"&sort="+sort, nil, 200))
			var joined []string
			for cursor := ""; ; {
				page := r.call(admin, "GET", "/api/v1/keys?"+narrow+"&limit=2&sort="+sort+cursor, nil, 200)
				joined = append(joined, ids(page)...)
				if page.text("next_cursor") == "" {
					break
				}
				cursor = "&cursor=" + page.text("next_cursor")
			}
			if len(whole) != 6 || strings.Join(whole, " ") != strings.Join(joined, " ") {
				t.Errorf("%s by %s: %v in pages, %v whole", narrow, sort, joined, whole)
			}
		}
	}
	// Without an order the newest come first, whatever is asked for.
	for _, filter := range []string{"kind=api", "expires_before=2099-01-01T00:00:00Z", "last_used_before=2099-01-01T00:00:00Z"} {
		asked, usual := ids(r.call(admin, "GET", "/api/v1/keys?"+filter+"&sort=-created_at", nil, 200)), r.call(admin, "GET", "/api/v1/keys?limit=2&"+filter, nil, 200)
		next := ids(r.call(admin, "GET", "/api/v1/keys?limit=200&sort=-created_at&"+filter+"&cursor="+usual.text("next_cursor"), nil, 200))
		if got := append(ids(usual), next...); len(next) == 0 || strings.Join(got, " ") != strings.Join(asked, " ") {
			t.Errorf("%s: %v, newest first %v", filter, got, asked)
		}
	}
	page := r.call(admin, "GET", "/api/v1/keys?limit=2&sort=name", nil, 200)
	a := r.call(admin, "GET", "/api/v1/keys?sort=-name&cursor="+page.text("next_cursor"), nil, 422)
	if !strings.Contains(a.raw, "query.cursor") {
		t.Error(a.raw)
	}
}

// A key is found by its secret, which no address takes.
func TestLookupByTheKeyItself(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "ci"}, 201)
	secret := k.text("secret")
	for _, pasted := range []string{secret, " " + secret + "\r\n"} {
		if a := r.call(admin, "POST", "/api/v1/keys/lookup", m{"auth_key": pasted}, 200); a.text("id") != k.text("key", "id") {
			t.Error(a.raw)
		}
	}
	if a := r.call(admin, "POST", "/api/v1/keys/lookup", m{"auth_key": admin}, 200); a.text("kind") != "management" {
		t.Error(a.raw)
	}
	r.call(admin, "POST", "/api/v1/keys/lookup", m{"auth_key": "lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"}, 404)
	r.call(admin, "POST", "/api/v1/keys/lookup", m{"auth_key": secret + "x"}, 404)
	for name, q := range map[string]string{"alone": secret, "quoted": `"` + admin + `"`, "in a text": "key " + secret + ".", "as a member": `{"auth_key":"` + secret + `"}`, "in brackets": "(" + admin + ")"} {
		a := r.call(admin, "GET", "/api/v1/keys?q="+url.QueryEscape(q), nil, 422)
		if !strings.Contains(a.raw, "query.q") || strings.Contains(a.raw, secret) {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	if a := r.call(admin, "DELETE", "/api/v1/keys/by-start/"+secret, nil, 422); !strings.Contains(a.raw, "path.start") {
		t.Error(a.raw)
	}
	r.call(admin, "GET", "/api/v1/keys?q=ab", nil, 422)
}
