package app_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// A list of users holds what each filter leaves, alone and together, and nothing
// else.
func TestUserFilters(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	named := map[string]string{}
	for name, body := range map[string]m{
		"Ada Lovelace": {"username": "ada", "email": "countess@example.com", "external_id": "cust-1815"},
		"Grace":        {"email": "grace@navy.example", "role": "viewer"},
		"Importer":     {"kind": "service", "external_id": "cust-2"},
		"100% _sure":   {"kind": "service", "role": "operator"},
		"Gone":         {"username": "gone"},
	} {
		body["name"] = name
		named[r.call(admin, "POST", "/api/v1/users", body, 201).text("id")] = name
	}
	for id, name := range named {
		if name == "Gone" {
			r.call(admin, "PATCH", "/api/v1/users/"+id, m{"disabled": true}, 200)
		}
	}
	for query, want := range map[string][]string{
		"":                              {"100% _sure", "Ada Lovelace", "Gone", "Grace", "Importer"},
		"kind=person":                   {"Ada Lovelace", "Gone", "Grace"},
		"kind=service&role=operator":    {"100% _sure"},
		"role=viewer":                   {"Grace"},
		"disabled=true":                 {"Gone"},
		"disabled=false&kind=person":    {"Ada Lovelace", "Grace"},
		"username=ada":                  {"Ada Lovelace"},
		"username=Ada":                  {"Ada Lovelace"}, // as it may be written when one is made, or signs in
		"external_id=cust-2":            {"Importer"},
		"q=LOVE":                        {"Ada Lovelace"},
		"q=countess":                    {"Ada Lovelace"},
		"q=cust-":                       {"Ada Lovelace", "Importer"},
		"q=cust-&kind=service":          {"Importer"},
		"q=" + url.QueryEscape("0% _s"): {"100% _sure"},
		"q=___":                         nil,
		"q=acecust":                     nil, // one text ends where the next begins
	} {
		page := r.call(admin, "GET", "/api/v1/users?"+query, nil, 200)
		var got []string
		for _, id := range ids(page) {
			if named[id] != "" { // not the built-in user
				got = append(got, named[id])
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	key := r.call(admin, "POST", "/api/v1/keys", m{"name": "k"}, 201).text("secret")
	for query, location := range map[string]string{
		"q=ab": "query.q", "q=" + strings.Repeat("a", 65): "query.q", "q=" + key: "query.q",
		"role=viewer&role=owner": "query.role", "role=viewer;kind=person": "query", // neither is left out
		"kind=robot": "query.kind", "role=king": "query.role", "disabled=maybe": "query.disabled",
	} {
		if a := r.call(admin, "GET", "/api/v1/users?"+query, nil, 422); !strings.Contains(a.raw, location) || strings.Contains(a.raw, key) {
			t.Errorf("%s: %s", query, a.raw)
		}
	}
}

// A plan says how a subscription under it begins and how many keys hang on it, and
// is listed by whether it is archived.
func TestPlans(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	pro, old := r.tier(admin, "pro", m{"trial_days": 14}), r.tier(admin, "old", nil)
	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	if sub := r.call(admin, "POST", "/api/v1/subscriptions", m{"user_id": user, "plan_id": pro}, 201); sub.text("status") != "trialing" || sub.text("ends_at") == "" {
		t.Error(sub.raw)
	}
	r.call(admin, "PATCH", "/api/v1/plans/"+old, m{"archived": true}, 200)
	r.call(admin, "POST", "/api/v1/subscriptions", m{"user_id": user, "plan_id": old}, 409)
	for query, want := range map[string]string{"archived=true": old, "archived=false": pro, "slug=old": old, "q=PRO": pro, "q=+old+&archived=true": old} {
		if got := ids(r.call(admin, "GET", "/api/v1/plans?"+query, nil, 200)); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	r.call(admin, "PATCH", "/api/v1/plans/"+pro, m{"name": "Professional"}, 200)
	for query, want := range map[string]int{"q=Fessional": 1, "q=pro&archived=true": 0, "q=___": 0} {
		if got := ids(r.call(admin, "GET", "/api/v1/plans?"+query, nil, 200)); len(got) != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	for _, wrong := range []string{"q=pr", "q=" + strings.Repeat("a", 65), "q=" + admin} {
		if a := r.call(admin, "GET", "/api/v1/plans?"+wrong, nil, 422); !strings.Contains(a.raw, "query.q") || strings.Contains(a.raw, admin) {
			t.Errorf("%s", a.raw)
		}
	}
	another := r.call(admin, "POST", "/api/v1/users", m{"name": "Eve"}, 201).text("id")
	if sub := r.call(admin, "POST", "/api/v1/subscriptions", m{"user_id": another, "plan_id": pro, "status": "active"}, 201); sub.text("status") != "active" || sub.get("trial_ends_at") != nil {
		t.Error(sub.raw)
	}
	var first string
	for range 3 {
		first = r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "owner_id": user, "plan": "pro"}, 201).text("key", "id")
	}
	r.call(admin, "POST", "/api/v1/keys/"+first+"/revoke", nil, 200)
	if p := r.call(admin, "GET", "/api/v1/plans/"+pro, nil, 200); p.get("live_keys") != 2.0 || p.get("live_keys_estimated") != false || p.get("trial_days") != 14.0 {
		t.Error(p.raw)
	}
	if p := r.call(admin, "PATCH", "/api/v1/plans/"+pro, m{"trial_days": nil}, 200); p.get("trial_days") != nil {
		t.Error(p.raw)
	}
	for _, days := range []int{0, -1, 366} {
		if a := r.call(admin, "PATCH", "/api/v1/plans/"+pro, m{"trial_days": days}, 422); strings.Contains(a.raw, "0 to 365") {
			t.Errorf("%d is said to be right: %s", days, a.raw)
		}
		r.call(admin, "POST", "/api/v1/plans", m{"slug": "x", "name": "X", "trial_days": days}, 422)
	}
}
