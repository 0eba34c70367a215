package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
)

// ActInput are the parameters of every action on a subscription. It is exported
// because huma fills in only exported embedded structs.
type ActInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
}

type cancelSubscriptionInput struct {
	ActInput
	Body *struct {
		When string `json:"when,omitempty" enum:"now,period_end" default:"period_end" example:"now" doc:"period_end: keys are let in until then; of a trial, until its end."`
	}
}

type renewSubscriptionInput struct {
	ActInput
	Body struct {
		PeriodStart *time.Time `json:"period_start,omitempty" doc:"Where it is not given: where the last period ended; now, where there was none or for a trial."`
		PeriodEnd   time.Time  `json:"period_end" example:"2031-01-01T00:00:00Z"`
	}
}

type changePlanInput struct {
	ActInput
	Body struct {
		PlanID string `json:"plan_id" example:"pln_0190c2f57d3a7c3e8f5a2b6d1c9e4a71" doc:"The plan that it moves to."`
		When   string `json:"when,omitempty" enum:"now,period_end" default:"now" doc:"period_end: the change is scheduled for then, and keys stay under the old plan until it is made."`
	}
}

// subscriptionAct describes an action.
func subscriptionAct(name, id, summary, more string) huma.Operation {
	op := operation(http.MethodPost, "/api/v1/subscriptions/{id}/"+name, "Subscriptions", id, summary, access.SubscriptionsWrite)
	op.Description += " " + more
	return op
}

func (a *api) registerSubscriptionActs() {
	simple := func(name, summary, more string, act func(context.Context, access.Caller, subscriptions.Ref) (subscriptions.Subscription, error)) {
		huma.Register(a.huma, subscriptionAct(name, name+"-subscription", summary, more), func(ctx context.Context, in *ActInput) (*resource[subscriptionView], error) {
			ref, err := subscriptionRef(in.ID, in.IfMatch)
			if err != nil {
				return nil, err
			}
			return a.subscriptionAnswer(act(ctx, caller(ctx), ref))
		})
	}
	simple("pause", "Refuse every key under a subscription until it is resumed",
		"At once. The clock goes on meanwhile, that of a trial too.", a.Services.Subscriptions.Pause)
	simple("resume", "Undo a pause, or a cancellation that has not taken effect",
		"What was a trial is one again.", a.Services.Subscriptions.Resume)
	huma.Register(a.huma, subscriptionAct("cancel", "cancel-subscription", "End a subscription, now or with its period",
		"What has ended stays ended; a scheduled change of plan is dropped."), a.cancelSubscription)
	huma.Register(a.huma, subscriptionAct("renew", "renew-subscription", "Begin a period",
		"A trial, also one that is over, and a canceled subscription become active. A scheduled change of plan keeps its time."), a.renewSubscription)
	huma.Register(a.huma, subscriptionAct("change-plan", "change-plan-of-subscription", "Move a subscription and its keys to another plan, now or at the end of the period",
		"A scheduled change is made within a second of its time. Another one takes its place, and a change to the plan that it is on drops it. Keys that were issued stay, whatever `max_keys` of the new plan says; of their scopes counts what the new plan grants."), a.changePlan)
}

func (a *api) cancelSubscription(ctx context.Context, in *cancelSubscriptionInput) (*resource[subscriptionView], error) {
	ref, err := subscriptionRef(in.ID, in.IfMatch)
	if err != nil {
		return nil, err
	}
	when := subscriptions.AtPeriodEnd
	if in.Body != nil && in.Body.When != "" {
		when = subscriptions.When(in.Body.When)
	}
	return a.subscriptionAnswer(a.Services.Subscriptions.Cancel(ctx, caller(ctx), ref, when))
}

func (a *api) renewSubscription(ctx context.Context, in *renewSubscriptionInput) (*resource[subscriptionView], error) {
	ref, err := subscriptionRef(in.ID, in.IfMatch)
	if err != nil {
		return nil, err
	}
	return a.subscriptionAnswer(a.Services.Subscriptions.Renew(ctx, caller(ctx), ref, subscriptions.Period{Start: in.Body.PeriodStart, End: &in.Body.PeriodEnd}))
}

func (a *api) changePlan(ctx context.Context, in *changePlanInput) (*resource[subscriptionView], error) {
	ref, err := subscriptionRef(in.ID, in.IfMatch)
	if err != nil {
		return nil, err
	}
	var f fault.Fields
	plan := optionalID[id.PlanKind](&f, "body.plan_id", in.Body.PlanID)
	f.Check(in.Body.PlanID != "", "body.plan_id", "the id of a plan is needed")
	if err := f.Err(); err != nil {
		return nil, err
	}
	return a.subscriptionAnswer(a.Services.Subscriptions.ChangePlan(ctx, caller(ctx), ref, subscriptions.Move{PlanID: plan, When: subscriptions.When(in.Body.When)}))
}
