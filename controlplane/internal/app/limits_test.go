package app_test

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// A limit says one thing or is refused; what it leaves open is filled in; and it
// says of itself that it is not enforced.
func TestLimits(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	rate := func(more m) m {
		return with(m{"name": "burst", "kind": "rate", "amount": 100, "window_seconds": 60}, more)
	}
	quota := func(more m) m {
		return with(m{"name": "monthly", "kind": "quota", "amount": 1_000_000_000_000, "period": "month"}, more)
	}
	for name, test := range map[string]struct {
		body  m
		wrong string // the member that is, "" for none
		says  m
	}{
		"a rate":                  {rate(nil), "", m{"subject": "key", "mode": "enforce", "on_unavailable": "allow", "period": nil, "time_zone": nil, "enforced": false}},
		"a quota":                 {quota(nil), "", m{"on_unavailable": "deny", "time_zone": "UTC", "window_seconds": nil, "enforced": false}},
		"a quota of Madrid":       {quota(m{"time_zone": "Europe/Madrid", "subject": "user", "mode": "shadow", "on_unavailable": "allow"}), "", m{"time_zone": "Europe/Madrid", "mode": "shadow", "on_unavailable": "allow"}},
		"a quota of the period":   {quota(m{"period": "subscription", "subject": "subscription"}), "", m{"time_zone": nil}},
		"an hour":                 {rate(m{"window_seconds": 3600, "subject": "client_ip"}), "", nil},
		"more than an hour":       {rate(m{"window_seconds": 3601}), "window_seconds", nil},
		"no window":               {m{"name": "n", "kind": "rate", "amount": 1}, "window_seconds", nil},
		"a window of nothing":     {rate(m{"window_seconds": 0}), "window_seconds", nil},
		"a rate per day":          {rate(m{"period": "day"}), "period", nil},
		"a rate with a time zone": {rate(m{"time_zone": "UTC"}), "time_zone", nil},
		"a quota with a window":   {quota(m{"window_seconds": 60}), "window_seconds", nil},
		"a quota of no period":    {m{"name": "n", "kind": "quota", "amount": 1}, "period", nil},
		"a week":                  {quota(m{"period": "week"}), "period", nil},
		"the server's time zone":  {quota(m{"time_zone": "Local"}), "time_zone", nil},
		"a time zone of nowhere":  {quota(m{"time_zone": "Europe/Nowhere"}), "time_zone", nil},
		"a file as a time zone":   {quota(m{"time_zone": "../../etc/passwd"}), "time_zone", nil},
		"a period with a zone":    {quota(m{"period": "subscription", "time_zone": "UTC"}), "time_zone", nil},
		"nothing":                 {rate(m{"amount": 0}), "amount", nil},
		"too much":                {rate(m{"amount": 1_000_000_000_001}), "amount", nil},
		"a device":                {rate(m{"subject": "device"}), "subject", nil},
		"another mode":            {rate(m{"mode": "maybe"}), "mode", nil},
		"a name in capitals":      {rate(m{"name": "Burst"}), "name", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := &replica{t: t, url: r.url, logs: r.logs}
			if test.wrong != "" {
				if a := r.call(admin, "POST", "/api/v1/limits", test.body, 422); !strings.Contains(a.raw, `"body.`+test.wrong) {
					t.Error(a.raw)
				}
				return
			}
			made := r.call(admin, "POST", "/api/v1/limits", test.body, 201)
			read := r.call(admin, "GET", "/api/v1/limits/"+made.text("id"), nil, 200)
			if read.raw != made.raw {
				t.Errorf("made %s, read %s", made.raw, read.raw)
			}
			for member, value := range test.says {
				if read.get(member) != value {
					t.Errorf("%s is %v, want %v", member, read.get(member), value)
				}
			}
		})
	}
}

// with is a body with more members.
func with(body, more m) m {
	for name, v := range more {
		body[name] = v
	}
	return body
}

// Plans refer to limits, keys have amounts of their own by name; a record and a
// verdict have nothing of either.
func TestLimitsOfPlansAndKeys(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	limit := func(name string) string {
		return r.call(admin, "POST", "/api/v1/limits", m{"name": name, "kind": "rate", "amount": 1, "window_seconds": 3600}, 201).text("id")
	}
	burst, slower, other := limit("burst"), limit("burst"), limit("other")
	plan := r.tier(admin, "pro", m{"limit_ids": []string{burst, other}})
	at := "/api/v1/plans/" + plan
	for name, body := range map[string]m{
		"two of one name": {"limit_ids": []string{burst, slower}}, "one twice": {"limit_ids": []string{other, other}},
		"of another kind": {"limit_ids": []string{plan}}, "no such": {"limit_ids": []string{"lim_01a200b384db74eb8a6c7cc7d79ac7f3"}}, "an empty one": {"limit_ids": []string{""}},
	} {
		if a := r.call(admin, "PATCH", at, body, 422); !strings.Contains(a.raw, "body.limit_ids[") {
			t.Errorf("%s: %s", name, a.raw)
		}
	}
	// What is archived stays where it is and goes nowhere else.
	r.call(admin, "PATCH", "/api/v1/limits/"+burst, m{"archived": true, "amount": 2}, 200)
	r.call(admin, "PATCH", at, m{"name": "Pro", "limit_ids": []string{other, burst}}, 200)
	r.call(admin, "POST", "/api/v1/plans", m{"slug": "new", "name": "New", "limit_ids": []string{burst}}, 422)
	if p := r.call(admin, "PATCH", at, m{"name": "Professional"}, 200); len(p.get("limit_ids").([]any)) != 2 {
		t.Error(p.raw)
	}
	for query, want := range map[string]int{"?name=burst": 2, "?name=burst&archived=false": 1, "?kind=quota": 0, "?archived=true": 1} {
		if got := len(ids(r.call(admin, "GET", "/api/v1/limits"+query, nil, 200))); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	read := r.call(admin, "GET", "/api/v1/limits/"+other, nil, 200)
	r.call(admin, "PATCH", "/api/v1/limits/"+other, m{"amount": 5}, 200)
	if a := r.send("PATCH", "/api/v1/limits/"+other, `{"amount":6}`, "Authorization", "Bearer "+admin, "If-Match", read.header.Get("ETag")); a.status != 412 {
		t.Errorf("on an older version: %d %s", a.status, a.raw)
	}
	r.call(admin, "PATCH", "/api/v1/limits/"+other, m{"period": "day"}, 422)
	// null clears: what a rate has not got, but not what it needs.
	r.call(admin, "PATCH", "/api/v1/limits/"+other, m{"period": nil, "time_zone": nil}, 200)
	for _, needed := range []string{"amount", "window_seconds"} {
		if a := r.call(admin, "PATCH", "/api/v1/limits/"+other, m{needed: nil}, 422); !strings.Contains(a.raw, "body."+needed) {
			t.Error(a.raw)
		}
	}

	k := r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "plan": "pro", "limit_overrides": m{"burst": 500}}, 201)
	if k.get("key", "limit_overrides", "burst") != 500.0 {
		t.Error(k.raw)
	}
	next := r.call(admin, "POST", "/api/v1/keys/"+k.text("key", "id")+"/rotate", nil, 201)
	if next.get("key", "limit_overrides", "burst") != 500.0 {
		t.Errorf("a rotation loses it: %s", next.raw)
	}
	own := "/api/v1/keys/" + next.text("key", "id")
	if p := r.call(admin, "PATCH", own, m{"limit_overrides": m{"other": 7}}, 200); p.get("limit_overrides", "other") != 7.0 || p.get("limit_overrides", "burst") != nil {
		t.Error(p.raw)
	}
	for _, wrong := range []m{{"burst": 0}, {"burst": 1_000_000_000_001}, {"Burst": 1}, {"": 1}, {k.text("secret"): 1}} {
		if a := r.call(admin, "PATCH", own, m{"limit_overrides": wrong}, 422); !strings.Contains(a.raw, "body.limit_overrides") || strings.Contains(a.raw, k.text("secret")) {
			t.Error(a.raw)
		}
	}
	for range 3 { // an amount of 1 or 7 an hour: nothing is counted, and nobody is told that it is
		if a := r.auth(next.text("secret")); a.code() != "VALID" || strings.Contains(a.raw, "limit") {
			t.Error(a.raw)
		}
	}
	if p := r.call(admin, "PATCH", own, m{"limit_overrides": nil}, 200); len(p.get("limit_overrides").(map[string]any)) != 0 {
		t.Error(p.raw)
	}
	events := r.call(admin, "GET", "/api/v1/audit-events?action=limit.*", nil, 200)
	if n := strings.Count(events.raw, `"action":"limit.`); n != 5 {
		t.Errorf("%d events of limits: %s", n, events.raw)
	}
}
