package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// A change of plan takes a thousand keys along and the others by and by; who
// acts on keys by their plan, bounds them or adds one goes by the subscription
// from the first moment on.
func TestVeryManyKeysFollowTheirSubscription(t *testing.T) {
	t.Parallel()
	h, ctx := furnish(t, pgtest.DSN(t)), t.Context()
	a, b := h.tier(t, "a"), h.tier(t, "b")
	u := must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{Name: "Ada"}))
	s := must[subscriptions.Subscription](t)(h.subscriptions.Create(ctx, root(), subscriptions.NewSubscription{UserID: u.ID, PlanID: a.ID}))
	const all = 2*keys.MaxBatch + 500
	var last keys.Key
	for n := 0; n < all; {
		batch := keys.Batch{}
		for ; n < all && len(batch.Keys) < keys.MaxBatch; n++ {
			batch.Keys = append(batch.Keys, keys.NewKey{Name: fmt.Sprint("k", n), OwnerID: u.ID, SubscriptionID: s.ID})
		}
		issued := must[[]keys.Issued](t)(h.keys.IssueMany(ctx, root(), batch))
		last = issued[len(issued)-1].Key
	}
	must[plans.Plan](t)(h.plans.Update(ctx, root(), b.ID, plans.Patch{MaxKeys: field.To(new(all))}))

	must[subscriptions.Subscription](t)(h.subscriptions.ChangePlan(ctx, root(), subscriptions.Ref{ID: s.ID}, subscriptions.Move{PlanID: b.ID, When: subscriptions.Now}))
	on := func(p plans.Plan) (n int) {
		for _, err := range h.keys.All(ctx, root(), keys.Filter{PlanID: p.ID}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	act := func(p plans.Plan, dry bool) keys.Outcome {
		t.Helper()
		return must[keys.Outcome](t)(h.keys.ActOn(ctx, root(), keys.Action{Act: keys.ActTag, AddTags: []string{p.Slug}, Filter: keys.Filter{Plan: p.Slug}, DryRun: dry}))
	}
	if first := on(b); first != keys.MaxBatch || on(a) != all-first {
		t.Errorf("%d keys went along, %d are behind", first, on(a))
	}
	if n, none := act(b, true).Matched, act(a, true).Matched; n != all || none != 0 {
		t.Errorf("a dry run finds %d keys under the new plan and %d under the old one", n, none)
	}
	if got := act(b, false); got.Changed != all {
		t.Errorf("%d keys were tagged by their plan", got.Changed)
	}
	if _, err := h.keys.Issue(ctx, root(), keys.NewKey{Name: "one more", OwnerID: u.ID, SubscriptionID: s.ID}); !fault.Is(err, fault.Conflict) {
		t.Errorf("the new plan's bound does not count: %v", err)
	}
	next := must[keys.Issued](t)(h.keys.Rotate(ctx, root(), last.ID, new(1))).Key
	if next.PlanID != b.ID || must[keys.Key](t)(h.keys.ByID(ctx, root(), last.ID)).PlanID != b.ID {
		t.Error("a key that was rotated meanwhile is not under the new plan")
	}
	for end := time.Now().Add(30 * time.Second); on(a) > 0; {
		if err := h.subscriptions.Sweep(ctx); err != nil || time.Now().After(end) {
			t.Fatalf("%d keys do not follow: %v", on(a), err)
		}
	}
	if n := on(b); n != all+1 {
		t.Errorf("%d keys are under the new plan", n)
	}
	if more := must[bool](t)(h.db.Subscriptions().Follow(ctx, 1)); more {
		t.Error("somebody is still said to follow")
	}
	verifyChain(t, h.db)
}
