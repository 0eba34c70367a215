package app_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// hand is a clock that a test moves.
type hand struct{ ahead atomic.Int64 }

func (h *hand) now() time.Time          { return time.Now().Add(time.Duration(h.ahead.Load())) }
func (h *hand) advance(d time.Duration) { h.ahead.Add(int64(d)) }

// tier makes a plan and answers its id.
func (r *replica) tier(admin, slug string, more m) string {
	r.t.Helper()
	body := m{"slug": slug, "name": slug}
	for name, v := range more {
		body[name] = v
	}
	return r.call(admin, "POST", "/api/v1/plans", body, 201).text("id")
}

// Whatever is done to a subscription leads where the rules say, at the door and
// in the API, and nowhere else.
func TestWhatLeadsToWhat(t *testing.T) {
	t.Parallel()
	clock := new(hand)
	r := startAt(t, pgtest.DSN(t), clock.now)
	admin := r.admin()
	r.tier(admin, "pro", nil)
	soon, later := clock.now().Add(time.Hour), clock.now().Add(100*24*time.Hour)
	type step struct {
		act    string // "" is a PATCH
		body   m
		status int
		is     string // the status afterwards
		door   string
	}
	begin := map[string]m{
		"active": {}, "active in a period": {"period_end": later}, "trialing": {"status": "trialing", "trial_ends_at": later},
		"trial over": {"status": "trialing", "trial_ends_at": soon.Add(-2 * time.Hour)},
	}
	for name, test := range map[string]struct {
		from  string
		steps []step
	}{
		"pause and resume": {"active", []step{
			{"pause", nil, 200, "paused", "PLAN_INACTIVE"}, {"pause", nil, 200, "paused", "PLAN_INACTIVE"},
			{"cancel", nil, 409, "paused", "PLAN_INACTIVE"}, {"renew", m{"period_end": later}, 409, "paused", "PLAN_INACTIVE"},
			{"resume", nil, 200, "active", "VALID"}, {"resume", nil, 200, "active", "VALID"},
		}},
		"a pause makes no paid subscription of a trial": {"trialing", []step{
			{"pause", nil, 200, "paused", "PLAN_INACTIVE"}, {"resume", nil, 200, "trialing", "VALID"},
			{"", m{"trial_ends_at": soon.Add(-2 * time.Hour)}, 200, "trial_ended", "TRIAL_ENDED"},
			{"pause", nil, 200, "paused", "PLAN_INACTIVE"}, {"resume", nil, 200, "trial_ended", "TRIAL_ENDED"},
		}},
		"a trial is renewed": {"trialing", []step{{"renew", m{"period_end": later}, 200, "active", "VALID"}}},
		"a trial that is over": {"trial over", []step{
			{"resume", nil, 409, "trial_ended", "TRIAL_ENDED"}, {"renew", m{"period_end": later}, 200, "active", "VALID"},
		}},
		"a trial that is over is canceled": {"trial over", []step{
			{"cancel", nil, 200, "ended", "PLAN_INACTIVE"}, {"renew", m{"period_end": later}, 409, "ended", "PLAN_INACTIVE"},
		}},
		"cancel with the trial": {"trialing", []step{{"cancel", nil, 200, "canceled", "VALID"}, {"resume", nil, 200, "trialing", "VALID"}}},
		"cancel with the period": {"active in a period", []step{
			{"cancel", nil, 200, "canceled", "VALID"}, {"pause", nil, 409, "canceled", "VALID"}, {"resume", nil, 200, "active", "VALID"},
			{"cancel", m{"when": "period_end"}, 200, "canceled", "VALID"}, {"renew", m{"period_end": later.Add(time.Hour)}, 200, "active", "VALID"},
		}},
		"no period to cancel with": {"active", []step{
			{"cancel", nil, 409, "active", "VALID"}, {"renew", m{"period_end": soon.Add(-2 * time.Hour)}, 422, "active", "VALID"},
		}},
		"cancel now, for good": {"active", []step{
			{"cancel", m{"when": "now"}, 200, "ended", "PLAN_INACTIVE"}, {"cancel", nil, 200, "ended", "PLAN_INACTIVE"},
			{"resume", nil, 409, "ended", "PLAN_INACTIVE"}, {"pause", nil, 409, "ended", "PLAN_INACTIVE"},
			{"", m{"status": "active"}, 409, "ended", "PLAN_INACTIVE"}, {"", m{"status": "canceled", "period_end": later}, 409, "ended", "PLAN_INACTIVE"},
			{"", m{"period_end": later}, 409, "ended", "PLAN_INACTIVE"}, {"", m{"period_end": nil}, 409, "ended", "PLAN_INACTIVE"},
			{"", m{"period_end": soon.Add(-2 * time.Hour)}, 200, "ended", "PLAN_INACTIVE"}, // when it ended may be known better
		}},
		"what ended by the clock stays ended": {"active", []step{
			{"", m{"status": "canceled", "period_end": soon.Add(-2 * time.Hour)}, 200, "ended", "PLAN_INACTIVE"},
			{"", m{"period_end": later}, 409, "ended", "PLAN_INACTIVE"}, {"resume", nil, 409, "ended", "PLAN_INACTIVE"},
		}},
		"wrong values": {"active", []step{
			{"", m{"status": "trialing"}, 422, "active", "VALID"}, {"", m{"status": "canceled"}, 422, "active", "VALID"},
			{"", m{"period_start": later, "period_end": soon}, 422, "active", "VALID"}, {"renew", m{}, 422, "active", "VALID"},
			{"renew", m{"period_start": later, "period_end": soon}, 422, "active", "VALID"}, {"cancel", m{"when": "later"}, 422, "active", "VALID"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &replica{t: t, url: r.url, logs: r.logs}
			user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
			key := r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "owner_id": user, "plan": "pro"}, 201)
			sub := "/api/v1/subscriptions/" + key.text("key", "subscription_id")
			if len(begin[test.from]) > 0 {
				r.call(admin, "PATCH", sub, begin[test.from], 200)
			}
			for i, s := range test.steps {
				method, path, body := "POST", sub+"/"+s.act, any(nil)
				if s.act == "" {
					method, path = "PATCH", sub
				}
				if s.body != nil {
					body = s.body
				}
				r.call(admin, method, path, body, s.status)
				if is := r.call(admin, "GET", sub, nil, 200).text("status"); is != s.is {
					t.Errorf("step %d: the status is %s, want %s", i, is, s.is)
				}
				eventually(t, s.door, func() bool { return r.auth(key.text("secret")).code() == s.door })
			}
		})
	}
}

// Ends take effect by the clock, in the API, at the door and in lists alike.
func TestEndsByTheClock(t *testing.T) {
	t.Parallel()
	clock := new(hand)
	r := startAt(t, pgtest.DSN(t), clock.now)
	admin := r.admin()
	plan := r.tier(admin, "pro", m{"trial_days": 14})
	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	key := r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "owner_id": user, "plan": "pro"}, 201)
	sub := key.text("key", "subscription_id")
	at := "/api/v1/subscriptions/" + sub
	is := func(status, code string) {
		t.Helper()
		got := r.call(admin, "GET", at, nil, 200)
		if got.text("status") != status {
			t.Errorf("the status is %s, want %s", got.text("status"), status)
		}
		eventually(t, "the door says "+code, func() bool { return r.auth(key.text("secret")).code() == code }) // what gives may take a moment
		for _, s := range []string{"trialing", "active", "trial_ended", "paused", "canceled", "ended"} {
			for _, more := range []string{"", "&user_id=" + user, "&plan_id=" + plan} {
				if listed := len(ids(r.call(admin, "GET", "/api/v1/subscriptions?status="+s+more, nil, 200))) == 1; listed != (s == status) {
					t.Errorf("listed under %s%s: %v, while it is %s", s, more, listed, status)
				}
			}
		}
	}
	is("trialing", "VALID")
	clock.advance(14*24*time.Hour + time.Second)
	is("trial_ended", "TRIAL_ENDED")
	end := clock.now().Add(30 * 24 * time.Hour)
	renewed := r.call(admin, "POST", at+"/renew", m{"period_end": end}, 200)
	if renewed.get("ends_at") != nil || renewed.get("period_start") == nil {
		t.Error(renewed.raw)
	}
	is("active", "VALID")
	again := r.call(admin, "POST", at+"/renew", m{"period_end": end.AddDate(0, 1, 0)}, 200)
	if again.text("period_start") != renewed.text("period_end") {
		t.Errorf("the periods do not follow each other: %s", again.raw)
	}
	if short := r.call(admin, "POST", at+"/renew", m{"period_end": end}, 422); !strings.Contains(short.raw, `"body.period_end"`) {
		t.Errorf("what was not sent is at fault: %s", short.raw)
	}
	canceled := r.call(admin, "POST", at+"/cancel", nil, 200)
	if canceled.text("ends_at") == "" || canceled.text("ends_at") != canceled.text("period_end") {
		t.Error(canceled.raw)
	}
	is("canceled", "VALID")
	r.call(admin, "POST", "/api/v1/subscriptions", m{"user_id": user, "plan_id": plan}, 409)
	clock.advance(62 * 24 * time.Hour)
	is("ended", "PLAN_INACTIVE")
	// Its place is free at once, by way of a key as well.
	r.call(admin, "POST", "/api/v1/keys", m{"name": "under what ended", "owner_id": user, "subscription_id": sub}, 409)
	if next := r.call(admin, "POST", "/api/v1/keys", m{"name": "n", "owner_id": user, "plan": "pro"}, 201); next.text("key", "subscription_id") == sub {
		t.Error("a key was issued under what has ended")
	}
}

// A change of plan takes the keys along: now, or within a second of its time.
func TestChangeOfPlan(t *testing.T) {
	t.Parallel()
	clock := new(hand)
	r := startAt(t, pgtest.DSN(t), clock.now)
	admin := r.admin()
	small, big := r.tier(admin, "small", m{"scopes": []string{"reports:read"}}), r.tier(admin, "big", m{"scopes": []string{"reports:*"}})
	old := r.tier(admin, "old", nil)
	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	key := r.call(admin, "POST", "/api/v1/keys", m{"name": "k", "owner_id": user, "plan": "big", "scopes": []string{"reports:write"}}, 201)
	at := "/api/v1/subscriptions/" + key.text("key", "subscription_id")
	writes := func() string { return r.auth(key.text("secret"), "scopes", []string{"reports:write"}).code() }
	under := func(slug string) int { return len(ids(r.call(admin, "GET", "/api/v1/keys?plan="+slug, nil, 200))) }

	r.call(admin, "POST", at+"/change-plan", m{"plan_id": small}, 200)
	if c := writes(); c != "INSUFFICIENT_SCOPE" || under("small") != 1 || under("big") != 0 {
		t.Errorf("changed now: %s, %d under small, %d under big", c, under("small"), under("big"))
	}
	r.call(admin, "POST", at+"/change-plan", m{"plan_id": big, "when": "period_end"}, 409) // there is no period
	r.call(admin, "POST", at+"/renew", m{"period_end": clock.now().Add(time.Hour)}, 200)
	scheduled := r.call(admin, "POST", at+"/change-plan", m{"plan_id": big, "when": "period_end"}, 200)
	if scheduled.text("next_plan_id") != big || scheduled.text("next_plan_at") != scheduled.text("period_end") || scheduled.text("plan_id") != small {
		t.Error(scheduled.raw)
	}
	// Who is on a plan, or will be, is not put on it once more.
	r.call(admin, "POST", "/api/v1/subscriptions", m{"user_id": user, "plan_id": big}, 409)
	r.call(admin, "POST", "/api/v1/keys", m{"name": "k2", "owner_id": user, "plan": "big"}, 409)
	other := r.call(admin, "POST", "/api/v1/subscriptions", m{"user_id": user, "plan_id": old}, 201).text("id")
	r.call(admin, "POST", "/api/v1/subscriptions/"+other+"/change-plan", m{"plan_id": big}, 409)
	r.call(admin, "POST", "/api/v1/subscriptions/"+other+"/change-plan", m{"plan_id": small}, 409)
	if c := writes(); c != "INSUFFICIENT_SCOPE" {
		t.Errorf("before its time: %s", c)
	}
	// Dropped, and scheduled again; then the plan is archived, but was promised.
	if dropped := r.call(admin, "POST", at+"/change-plan", m{"plan_id": small}, 200); dropped.get("next_plan_id") != nil {
		t.Error(dropped.raw)
	}
	r.call(admin, "POST", at+"/change-plan", m{"plan_id": big, "when": "period_end"}, 200)
	r.call(admin, "PATCH", "/api/v1/plans/"+big, m{"archived": true}, 200)
	r.call(admin, "POST", at+"/change-plan", m{"plan_id": big}, 409)
	clock.advance(time.Hour)
	eventually(t, "the plan changes by itself", func() bool { return writes() == "VALID" })
	if got := r.call(admin, "GET", at, nil, 200); got.text("plan_id") != big || got.get("next_plan_id") != nil || under("big") != 1 {
		t.Errorf("%d under big: %s", under("big"), got.raw)
	}
	events := r.call(admin, "GET", "/api/v1/audit-events?action=subscription.change_plan", nil, 200)
	if !strings.Contains(events.raw, `"kind":"system"`) || strings.Count(events.raw, `"action":"subscription.change_plan"`) != 5 {
		t.Errorf("what the journal says: %s", events.raw)
	}
}

// Of two who change a subscription as they read it one is told to read again.
func TestActionsByVersion(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t))
	admin := r.admin()
	plan := r.tier(admin, "pro", nil)
	other := r.tier(admin, "max", nil)
	user := r.call(admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	made := r.call(admin, "POST", "/api/v1/subscriptions", m{"user_id": user, "plan_id": plan, "period_end": time.Now().Add(time.Hour)}, 201)
	at, read := "/api/v1/subscriptions/"+made.text("id"), made.header.Get("ETag")
	try := func(act, body string) int {
		return r.send("POST", at+"/"+act, body, "Authorization", "Bearer "+admin, "If-Match", read).status
	}
	if got := try("pause", ""); got != 200 {
		t.Fatal(got)
	}
	for act, body := range map[string]string{
		"pause": "", "resume": "", "cancel": `{"when":"now"}`, "renew": `{"period_end":"2099-01-01T00:00:00Z"}`, "change-plan": `{"plan_id":"` + other + `"}`,
	} {
		if got := try(act, body); got != 412 {
			t.Errorf("%s on an older version: %d", act, got)
		}
	}
	if a := r.call(admin, "PATCH", at, m{"status": nil}, 422); !strings.Contains(a.raw, "body.status") { // it cannot be cleared
		t.Error(a.raw)
	}
	// Of many at the same moment, each is done whole or not at all.
	answers := make(chan int)
	for i := range 12 {
		act, body := []string{"pause", "resume", "change-plan"}[i%3], []string{"", "", `{"plan_id":"` + []string{plan, other}[i%2] + `"}`}[i%3]
		go func() {
			a, _ := r.try("POST", at+"/"+act, body, "Authorization", "Bearer "+admin)
			answers <- a.status
		}()
	}
	for range 12 {
		if got := <-answers; got != 200 {
			t.Errorf("at the same moment: %d", got)
		}
	}
}
