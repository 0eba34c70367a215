package app_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// everyList asks for the first two pages of every list with every filter, in
// every order, for every search and for the overview, each a few times, and
// reports the medians of the slowest, and the one answer that took longest.
func everyList(b *testing.B, r *replica, admin string) {
	paths := listsAtScale(r, admin)
	var medians []time.Duration
	var worst time.Duration
	for b.Loop() {
		slowest := map[time.Duration]string{}
		for _, path := range paths {
			median, longest := ask(r, admin, path)
			medians, worst = append(medians, median), max(worst, longest)
			slowest[median] = path // of equals one
			if longest == worst {
				b.Logf("the worst so far: %v %s", longest, path)
			}
		}
		keys := make([]time.Duration, 0, len(slowest))
		for took := range slowest {
			keys = append(keys, took)
		}
		slices.Sort(keys)
		for _, took := range keys[max(0, len(keys)-12):] {
			b.Logf("%v %s", took.Round(100*time.Microsecond), slowest[took])
		}
	}
	b.ReportMetric(float64(len(paths)), "lists")
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-answer-ms")
	report(b, medians)
}

// ask gets a page five times, then the page behind it.
func ask(r *replica, admin, path string) (median, longest time.Duration) {
	const times = 5
	var took []time.Duration
	for range 2 {
		var cursor string
		for range times {
			began := time.Now()
			a := r.call(admin, "GET", path, nil, 200)
			took = append(took, time.Since(began))
			cursor = a.text("next_cursor")
		}
		if cursor == "" {
			break
		}
		joint := "?"
		if strings.Contains(path, "?") {
			joint = "&"
		}
		path += joint + "cursor=" + url.QueryEscape(cursor)
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1]
}

// listsAtScale are the addresses: each filter alone, and those that people use
// together.
func listsAtScale(r *replica, admin string) (paths []string) {
	sample := func(path string, field ...string) string {
		page, _ := r.call(admin, "GET", path, nil, 200).get("data").([]any)
		return answer{body: page[len(page)/2].(map[string]any)}.text(field...)
	}
	owner, plan := sample("/api/v1/keys?limit=200", "owner_id"), sample("/api/v1/plans", "id")
	in := func(d time.Duration) string { return url.QueryEscape(time.Now().Add(d).UTC().Format(time.RFC3339)) }
	keys := []string{
		"kind=api", "kind=management", "owner_id=" + owner, "plan=seed-free", "plan=seed-enterprise", "environment=live", "environment=test",
		"tag=critical", "tag=team/billing", "tag=none", "scope=reports:read", "scope=users:read", "scope=webhooks:write", "scope=orders:write", "scope=none",
		"expires_before=" + in(-240*time.Hour), "expires_before=" + in(0), "expires_before=" + in(240*time.Hour), "expires_before=" + in(9600*time.Hour),
		"last_used_before=" + in(-24*time.Hour), "last_used_before=" + in(-8000*time.Hour), "last_used_before=" + in(-80000*time.Hour),
		"status=active&last_used_before=" + in(-2400*time.Hour), "plan=seed-pro&last_used_before=" + in(-8000*time.Hour), "kind=management&last_used_before=" + in(0),
		"q=seeded", "q=777", "q=seeded+12", "q=d+7", "q=d+77", "q=23456", "q=none+such", "q=---",
		"q=" + sample("/api/v1/keys?limit=200", "start"), "q=" + sample("/api/v1/keys?limit=200", "last4"),
		"owner_id=" + owner + "&status=active", "owner_id=" + owner + "&status=revoked", "plan=seed-free&status=active", "plan=seed-pro&status=expired",
		"plan=seed-enterprise&status=not_yet_valid&environment=test", "tag=critical&status=revoked", "q=777&plan=seed-pro", "scope=users:read&owner_id=" + owner,
		"status=active&expires_before=" + in(240*time.Hour), "status=active&expires_before=" + in(0), "status=disabled&expires_before=" + in(240*time.Hour),
		"plan=seed-free&expires_before=" + in(240*time.Hour), "plan=seed-enterprise&expires_before=" + in(0), "owner_id=" + owner + "&expires_before=" + in(2400*time.Hour),
		"environment=test&tag=critical", "plan=seed-pro&q=777&status=revoked", "plan=seed-enterprise&tag=none", "kind=management&q=777",
	}
	for _, status := range []string{"active", "retiring", "not_yet_valid", "expired", "disabled", "retired", "revoked"} {
		keys = append(keys, "status="+status)
	}
	for _, filter := range append(keys, "") {
		for _, by := range []string{"created_at", "name", "expires_at", "last_used_at"} {
			for _, direction := range []string{"", "-"} {
				paths = append(paths, "/api/v1/keys?sort="+direction+by+"&"+filter)
			}
		}
	}
	user := sample("/api/v1/users?limit=200", "id")
	for _, path := range []string{
		"users", "users?kind=service", "users?kind=person", "users?role=member", "users?role=owner", "users?disabled=true", "users?disabled=false",
		"users?username=seed-777", "users?external_id=seed-777", "users?q=seeded", "users?q=777", "users?q=user99999", "users?q=none+such",
		"subscriptions", "subscriptions?user_id=" + user, "subscriptions?plan_id=" + plan, "subscriptions?status=trial_ended", "subscriptions?status=ended",
		"subscriptions?status=active&plan_id=" + plan, "subscriptions?status=paused", "plans", "plans/" + plan, "limits", "gateways", "sessions",
		"audit-events", "audit-events?actor_kind=cli", "audit-events?action=key.*", "audit-events?target_kind=key", "audit-events?since=" + in(-time.Hour),
		"overview", "search?q=seeded", "search?q=777", "search?q=none+such",
	} {
		paths = append(paths, "/api/v1/"+path)
	}
	return paths
}
