package keys

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// subscription returns what the key is issued under, if anything: by id, or by
// the slug of a plan, for which one is made where the owner has none.
func (d *draft) subscription(ctx context.Context, in NewKey, owner users.User) (sub subscription, err error) {
	if !in.SubscriptionID.IsZero() && in.Plan != "" {
		return sub, invalid("body.plan", "give either plan or subscription_id")
	}
	if in.SubscriptionID.IsZero() && in.Plan == "" {
		return sub, nil
	}
	known := owner.ID.String() + " " + in.SubscriptionID.String() + " " + in.Plan
	if sub, ok := d.under[known]; ok {
		return sub, nil
	}
	if in.Plan == "" {
		sub, err = d.named(ctx, in.SubscriptionID, owner)
	} else {
		sub, err = d.onPlan(ctx, in.Plan, owner)
	}
	if err == nil {
		d.under[known] = sub
	}
	return sub, err
}

func (d *draft) onPlan(ctx context.Context, slug string, owner users.User) (sub subscription, err error) {
	plan, ok := d.plans[slug]
	if !ok {
		plan, err = d.service.facts.Plans.BySlug(ctx, slug)
		if fault.Is(err, fault.NotFound) {
			return sub, invalid("body.plan", "there is no plan with this slug")
		}
		if err != nil {
			return sub, err
		}
		d.plans[slug] = plan
	}
	held, err := d.service.facts.Subscriptions.Place(ctx, owner.ID, plan.ID, d.now)
	switch {
	case err == nil && held.PlanID == plan.ID:
		return subscription{held.ID, plan}, nil
	case err == nil:
		return sub, placeToCome(held)
	case !fault.Is(err, fault.NotFound):
		return sub, err
	}
	if plan.ArchivedAt != nil {
		return sub, subscriptions.Archived(plan)
	}
	made, entry := subscriptions.Make(d.caller, owner.ID, plan, d.now)
	d.insertion.Subscriptions = append(d.insertion.Subscriptions, made)
	d.insertion.Entries = append(d.insertion.Entries, entry)
	return subscription{made.ID, plan}, nil
}

// placeToCome refuses a plan that a subscription of the owner will change to: a
// second one would be in its way then.
func placeToCome(held subscriptions.Subscription) error {
	const message = "a subscription of this user will change to this plan"
	refused := fault.New(fault.Conflict, message).WithCode(fault.CodeTaken).
		WithFix("issue under that subscription, %s, or change its plan now", held.ID)
	refused.Fields = []fault.Field{{Location: "body.plan", Message: message}}
	return refused
}

// named returns the subscription with an id, which must be the owner's.
func (d *draft) named(ctx context.Context, wanted id.Subscription, owner users.User) (sub subscription, err error) {
	s, err := d.service.facts.Subscriptions.ByID(ctx, wanted)
	if fault.Is(err, fault.NotFound) || err == nil && s.UserID != owner.ID {
		return sub, invalid("body.subscription_id", "the owner has no such subscription")
	}
	if err != nil {
		return sub, err
	}
	if s.Standing(d.now) == subscriptions.StandingEnded {
		return sub, fault.New(fault.Conflict, "this subscription has ended").WithFix("issue under a live subscription or a plan")
	}
	plan, err := d.service.facts.Plans.ByID(ctx, s.PlanID)
	return subscription{s.ID, plan}, err
}
