package app_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// trusting lets clients name their requests.
const trusting = "TRUSTED_PROXIES=127.0.0.1"

// Many do everything at once at three replicas, one of which is killed in the
// middle. Whatever was answered happened, once, and is in the audit log in the
// order in which it happened; what was refused did not; no door says of a key what
// was not true of it at any moment since the request came; and after each
// transaction every rule holds.
func TestCrowd(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	one, two := start(t, dsn, trusting), start(t, dsn, trusting)
	three, kill := startProcess(t, dsn)
	c := assemble(t, seedOf(t), one.admin(), one, two, three)
	orders := c.listed()
	readers := c.run(2, crowdReads, func(w *member) { w.read(orders) })
	c.run(16, crowdActs, (*member).act)()
	last := c.run(16, crowdActs, (*member).act)
	kill()
	c.lose(three)
	last()
	readers()

	x := c.replay()
	x.answered()
	x.atRest()
	head, err := one.app.DB.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report, err := one.app.Chain.Verify(t.Context(), one.app.DB.AuditRows(t.Context()), head); err != nil || report.Broken != 0 {
		t.Errorf("the audit chain: %+v %v", report, err)
	}
	answers := map[int]int{}
	for _, d := range c.deeds {
		answers[d.a.status]++
	}
	t.Logf("%d requests, %d verdicts, %d events, %d keys; by status %v", len(c.deeds), x.doors(), len(x.events), len(c.keys), answers)
}

// atRest holds what the API tells against what the log says, now that nobody
// works.
func (x *model) atRest() {
	w := x.newMember()
	counts, live, there := map[string]float64{}, map[string]float64{}, map[string]bool{}
	for id, k := range x.things {
		if k.kind != "key" || k.set("deleted_at") || k.text("kind") != "api" {
			continue
		}
		there[id] = true
		counts["total"]++
		counts[x.status(k)]++
		if sub := x.things[k.text("subscription_id")]; sub != nil && k.live(time.Now()) {
			live[sub.text("plan_id")]++
		}
	}
	for _, order := range keyOrders {
		seen := map[string]bool{}
		for _, id := range w.follow(url.Values{"sort": {order}, "kind": {"api"}, "limit": {"200"}}, func(k m) bool {
			if it := x.things[k["id"].(string)]; it == nil || k["status"] != x.status(it) || k["name"] != it.text("name") {
				x.t.Errorf("the list has %v", k)
			}
			return true
		}) {
			if seen[id] {
				x.t.Errorf("by %s: %s is listed twice", order, id)
			}
			seen[id] = true
		}
		if diff := cmp.Diff(there, seen); diff != "" {
			x.t.Errorf("listed by %s: %s", order, diff)
		}
	}
	for _, plan := range x.plans {
		if got := w.must("get-plan", plan, nil).a.get("live_keys"); got != live[plan] {
			x.t.Errorf("the plan has %v live keys, and not %v", got, live[plan])
		}
	}
	for _, status := range []string{"active", "retiring", "disabled", "expired", "retired", "revoked"} {
		dry := w.must("act-on-keys", "", m{"action": "enable", "dry_run": true, "filter": m{"status": status, "kind": "api"}})
		if dry.a.get("matched") != counts[status] {
			x.t.Errorf("a dry run counts %v %s keys, and not %v", dry.a.get("matched"), status, counts[status])
		}
	}
	var got m
	eventually(x.t, "the overview counts anew", func() bool {
		got, _ = w.must("get-overview", "", nil).a.get("keys").(m)
		return got["total"] == counts["total"]
	})
	for status, n := range counts {
		if got[status] != n {
			x.t.Errorf("the overview counts %v %s keys, and not %v", got[status], status, n)
		}
	}
}
