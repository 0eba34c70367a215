package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

func (h *house) tier(t testing.TB, slug string) plans.Plan {
	t.Helper()
	return must[plans.Plan](t)(h.plans.Create(t.Context(), root(), plans.NewPlan{Slug: slug, Name: slug}))
}

// Whoever is faster: a user is on no plan twice, now or by a change to come.
func TestOnePlaceOnAPlan(t *testing.T) {
	t.Parallel()
	h, ctx := furnish(t, pgtest.DSN(t)), t.Context()
	a, b := h.tier(t, "a"), h.tier(t, "b")
	end := time.Now().Add(time.Hour)
	for round := range 8 {
		u := must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{Name: "Ada"}))
		s := must[subscriptions.Subscription](t)(h.subscriptions.Create(ctx, root(), subscriptions.NewSubscription{UserID: u.ID, PlanID: a.ID, PeriodEnd: &end}))
		tries := []func() error{
			func() error {
				_, err := h.subscriptions.Create(ctx, root(), subscriptions.NewSubscription{UserID: u.ID, PlanID: b.ID})
				return err
			},
			func() error {
				_, err := h.keys.Issue(ctx, root(), keys.NewKey{Name: "k", OwnerID: u.ID, Plan: "b"})
				return err
			},
			func() error {
				_, err := h.subscriptions.ChangePlan(ctx, root(), subscriptions.Ref{ID: s.ID}, subscriptions.Move{PlanID: b.ID, When: subscriptions.AtPeriodEnd})
				return err
			},
			func() error {
				_, err := h.subscriptions.ChangePlan(ctx, root(), subscriptions.Ref{ID: s.ID}, subscriptions.Move{PlanID: b.ID, When: subscriptions.Now})
				return err
			},
		}
		var all sync.WaitGroup
		for _, try := range tries {
			all.Go(func() {
				if err := try(); err != nil && !fault.Is(err, fault.Conflict) {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		all.Wait()
		places := map[id.Plan]int{}
		for _, s := range must[[]subscriptions.Subscription](t)(h.subscriptions.List(ctx, root(), subscriptions.Filter{UserID: u.ID, Limit: 10})) {
			places[s.PlanID]++
			if !s.NextPlanID.IsZero() {
				places[s.NextPlanID]++
			}
		}
		if places[a.ID] > 1 || places[b.ID] != 1 {
			t.Errorf("round %d: %d on a, %d on b", round, places[a.ID], places[b.ID])
		}
	}
}

// A key that is issued under a plan finds the subscription that holds its owner's
// place there: also one that is older than many that have ended, and one that only
// will be on the plan.
func TestKeysFindTheirOwnersPlace(t *testing.T) {
	t.Parallel()
	h, ctx := furnish(t, pgtest.DSN(t)), t.Context()
	a, b := h.tier(t, "a"), h.tier(t, "b")
	u := must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{Name: "Ada"}))
	subscribe := func(plan plans.Plan, end *time.Time) subscriptions.Subscription {
		return must[subscriptions.Subscription](t)(h.subscriptions.Create(ctx, root(), subscriptions.NewSubscription{UserID: u.ID, PlanID: plan.ID, PeriodEnd: end}))
	}
	move := func(s subscriptions.Subscription, when subscriptions.When) {
		_ = must[subscriptions.Subscription](t)(h.subscriptions.ChangePlan(ctx, root(), subscriptions.Ref{ID: s.ID}, subscriptions.Move{PlanID: b.ID, When: when}))
	}
	end := time.Now().Add(time.Hour)
	s := subscribe(a, &end)
	for range 12 {
		_ = must[subscriptions.Subscription](t)(h.subscriptions.Cancel(ctx, root(), subscriptions.Ref{ID: subscribe(b, nil).ID}, subscriptions.Now))
	}

	move(s, subscriptions.AtPeriodEnd)
	_, err := h.keys.Issue(ctx, root(), keys.NewKey{Name: "k", OwnerID: u.ID, Plan: "b"})
	refused, ok := errors.AsType[*fault.Error](err)
	if !ok || refused.Code != fault.CodeTaken || len(refused.Fields) != 1 || refused.Fields[0].Location != "body.plan" || !strings.Contains(refused.Fix, s.ID.String()) {
		t.Errorf("under a plan to come: %#v; the refusal names the field and the subscription", err)
	}

	move(s, subscriptions.Now)
	k := must[keys.Issued](t)(h.keys.Issue(ctx, root(), keys.NewKey{Name: "k", OwnerID: u.ID, Plan: "b"})).Key
	if k.SubscriptionID != s.ID || k.PlanID != b.ID {
		t.Errorf("the key is under %v on %v, not %v on %v", k.SubscriptionID, k.PlanID, s.ID, b.ID)
	}
}

// While a subscription moves to and fro keys are issued, rotated and revoked under
// it: nothing waits for each other for ever, and every key ends up where its
// subscription is.
func TestKeysMoveWithTheirSubscription(t *testing.T) {
	t.Parallel()
	h, ctx := furnish(t, pgtest.DSN(t)), t.Context()
	two := []plans.Plan{h.tier(t, "a"), h.tier(t, "b")}
	u := must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{Name: "Ada", MaxKeys: new(1000)}))
	s := must[subscriptions.Subscription](t)(h.subscriptions.Create(ctx, root(), subscriptions.NewSubscription{UserID: u.ID, PlanID: two[0].ID}))
	var all sync.WaitGroup
	all.Go(func() {
		for i := range 30 {
			if _, err := h.subscriptions.ChangePlan(ctx, root(), subscriptions.Ref{ID: s.ID}, subscriptions.Move{PlanID: two[(i+1)%2].ID, When: subscriptions.Now}); err != nil {
				t.Errorf("change: %v", err)
			}
		}
	})
	for worker := range 4 {
		all.Go(func() {
			for i := range 10 {
				k, err := h.keys.Issue(ctx, root(), keys.NewKey{Name: "k", OwnerID: u.ID, SubscriptionID: s.ID, Label: fmt.Sprint(worker, i)})
				if fault.Is(err, fault.Conflict) {
					continue // the plan changed four times in a row
				}
				if err != nil {
					t.Errorf("issue: %v", err)
					return
				}
				if _, err := h.keys.Rotate(ctx, root(), k.Key.ID, new(1)); err != nil {
					t.Errorf("rotate: %v", err)
				}
				if _, err := h.keys.Update(ctx, root(), k.Key.ID, keys.Patch{Name: field.To("renamed")}); err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	all.Wait()
	on := must[subscriptions.Subscription](t)(h.subscriptions.ByID(ctx, root(), s.ID)).PlanID
	under := must[[]keys.Key](t)(h.keys.List(ctx, root(), keys.Filter{OwnerID: u.ID, Limit: 200}))
	for _, k := range under {
		if k.PlanID != on {
			t.Errorf("a key is under another plan than its subscription")
		}
	}
	if len(under) < 20 {
		t.Errorf("only %d keys were made", len(under))
	}
	verifyChain(t, h.db)
}

// Two replicas that make the same changes by the clock make each of them once.
func TestDueChangesAreMadeOnce(t *testing.T) {
	t.Parallel()
	h, ctx := furnish(t, pgtest.DSN(t)), t.Context()
	a, b := h.tier(t, "a"), h.tier(t, "b")
	end := time.Now().Add(time.Hour)
	for range 20 {
		u := must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{Name: "Ada"}))
		s := must[subscriptions.Subscription](t)(h.subscriptions.Create(ctx, root(), subscriptions.NewSubscription{UserID: u.ID, PlanID: a.ID, PeriodEnd: &end}))
		must[subscriptions.Subscription](t)(h.subscriptions.ChangePlan(ctx, root(), subscriptions.Ref{ID: s.ID}, subscriptions.Move{PlanID: b.ID, When: subscriptions.AtPeriodEnd}))
	}
	before := verifyChain(t, h.db).Rows
	later := subscriptions.New(h.db.Subscriptions(), h.db.Plans(), func() time.Time { return end })
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if err := later.Sweep(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(must[[]subscriptions.Subscription](t)(h.subscriptions.List(ctx, root(), subscriptions.Filter{PlanID: b.ID, Limit: 50}))); n != 20 {
		t.Errorf("%d of 20 changed", n)
	}
	if made := verifyChain(t, h.db).Rows - before; made != 20 {
		t.Errorf("%d entries for 20 changes", made)
	}
}

// With 100,000 users and subscriptions every filter alone, and a plan's or a
// user's subscriptions by status, touch at most twenty times the rows of a page.
func TestListsOfUsersAndSubscriptionsTouchFewRows(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h, ctx, now := furnish(t, dsn), t.Context(), time.Now()
	populate(t, h, dsn, 100_000, 1_000)
	conn := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, sql := range []string{
		// A third of the trials has ended since the last stamp was made, a sixth before.
		`UPDATE subscriptions SET trial_ends_at = now() - interval '1 hour', standing_until = now() - interval '1 hour' WHERE id IN (SELECT id FROM subscriptions WHERE standing = 'trialing' ORDER BY user_id LIMIT 100)`,
		"UPDATE users SET role = 'viewer' WHERE id IN (SELECT id FROM users ORDER BY external_id LIMIT 500)",
		"UPDATE users SET name = 'needle ' || name WHERE id IN (SELECT id FROM users ORDER BY external_id LIMIT 70)",
		"VACUUM ANALYZE users", "VACUUM ANALYZE subscriptions",
	} {
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	yes, no := true, false
	for name, f := range map[string]users.Filter{
		"nothing": {}, "person": {Kind: users.KindPerson}, "service": {Kind: users.KindService}, "viewer": {Role: access.Viewer}, "member": {Role: access.Member},
		"admin": {Role: access.Admin}, "disabled": {Disabled: &yes}, "not disabled": {Disabled: &no}, "username": {Username: "seed-7"}, "external id": {ExternalID: "seed-70000"},
		"a rare word": {Search: "needle"}, "a word of all": {Search: "seeded"}, "one name": {Search: "user 7777"}, "no such word": {Search: "haystack"}, "an address": {Search: "user99@"},
	} {
		f.Limit = 51
		for range 2 {
			touchesFew(t, "users: "+name, must[[]byte](t)(h.db.ExplainUsers(ctx, f)))
			all := must[[]users.User](t)(h.db.Users().List(ctx, f))
			if len(all) <= 50 {
				break
			}
			f.After = all[49].ID
		}
	}
	plan := must[[]plans.Plan](t)(h.db.Plans().List(ctx, plans.Filter{Limit: 10}))
	some := must[[]subscriptions.Subscription](t)(h.db.Subscriptions().List(ctx, subscriptions.Filter{Limit: 1}))[0]
	for _, standing := range append([]subscriptions.Standing{""}, subscriptions.Standings...) {
		filters := map[string]subscriptions.Filter{"": {}, " of a user": {UserID: some.UserID}, " of user and plan": {UserID: some.UserID, PlanID: some.PlanID}}
		for _, p := range plan {
			filters[" under "+p.Slug] = subscriptions.Filter{PlanID: p.ID}
		}
		for name, f := range filters {
			f.Standing, f.At, f.Limit = standing, now, 51
			for range 2 {
				touchesFew(t, string(standing)+name, must[[]byte](t)(h.db.ExplainSubscriptions(ctx, f)))
				all := must[[]subscriptions.Subscription](t)(h.db.Subscriptions().List(ctx, f))
				for _, s := range all {
					if standing != "" && s.Standing(now) != standing {
						t.Errorf("%s%s holds one that is %s", standing, name, s.Standing(now))
					}
				}
				if len(all) <= 50 {
					break
				}
				f.After = all[49].ID
			}
		}
	}
}
