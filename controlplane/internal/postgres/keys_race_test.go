package postgres_test

import (
	"sync"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
)

// Of a rotation and a revocation at the same moment none leaves a key that
// nobody knows to be good.
func TestRotateAgainstRevoke(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx := t.Context()
	rotated := 0
	for range 40 {
		old := h.issue(t, "k").Key.ID
		var all sync.WaitGroup
		var next keys.Issued
		var err error
		all.Go(func() { next, err = h.keys.Rotate(ctx, root(), old, new(24)) })
		all.Go(func() {
			if _, err := h.keys.Revoke(ctx, root(), old, keys.KeyCompromise); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		switch {
		case fault.Is(err, fault.Conflict): // the revocation was first
		case err != nil:
			t.Error(err)
		default:
			rotated++
			if k := must[keys.Key](t)(h.keys.ByID(ctx, root(), next.Key.ID)); k.RevokedAt == nil {
				t.Error("a successor outlived the revocation of its predecessor")
			}
		}
	}
	t.Logf("in %d of 40 the rotation was first", rotated)
	verifyChain(t, h.db)
}

// A revocation reaches what a deleted successor was rotated into, and leaves
// the deleted one as it is.
func TestRevokePastADeletedSuccessor(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx := t.Context()
	first := h.issue(t, "k").Key.ID
	second := must[keys.Issued](t)(h.keys.Rotate(ctx, root(), first, new(1))).Key.ID
	third := must[keys.Issued](t)(h.keys.Rotate(ctx, root(), second, new(1))).Key.ID
	if err := h.keys.Delete(ctx, root(), second); err != nil {
		t.Fatal(err)
	}
	must[keys.Key](t)(h.keys.Revoke(ctx, root(), first, keys.Superseded))
	if k := must[keys.Key](t)(h.keys.ByID(ctx, root(), third)); k.RevokedAt == nil {
		t.Error("the last one is still good")
	}
	must[keys.Key](t)(h.keys.Restore(ctx, root(), first))
	if _, err := h.keys.ByID(ctx, root(), second); !fault.Is(err, fault.NotFound) {
		t.Errorf("a deleted key came back: %v", err)
	}
}

// A key's plan is its subscription's from the change of that on.
func TestKeysFollowTheirSubscription(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx := t.Context()
	one := must[plans.Plan](t)(h.plans.Create(ctx, root(), plans.NewPlan{Slug: "one", Name: "One"}))
	two := must[plans.Plan](t)(h.plans.Create(ctx, root(), plans.NewPlan{Slug: "two", Name: "Two"}))
	k := must[keys.Issued](t)(h.keys.Issue(ctx, root(), keys.NewKey{Name: "k", Plan: "one"})).Key
	must[subscriptions.Subscription](t)(h.subscriptions.ChangePlan(ctx, root(), subscriptions.Ref{ID: k.SubscriptionID}, subscriptions.Move{PlanID: two.ID, When: subscriptions.Now}))
	for slug, want := range map[string]int{one.Slug: 0, two.Slug: 1} {
		if got := must[[]keys.Key](t)(h.keys.List(ctx, root(), keys.Filter{Plan: slug, Limit: 10})); len(got) != want {
			t.Errorf("%d keys under plan %s, want %d", len(got), slug, want)
		}
	}
	if got := must[keys.Key](t)(h.keys.Disable(ctx, root(), k.ID)); got.PlanID != two.ID {
		t.Error("a change of the key brought the old plan back")
	}
}
