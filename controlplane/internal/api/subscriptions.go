package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/shared/apikey"
)

type subscriptionView struct {
	ID          string     `json:"id" example:"sub_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	UserID      string     `json:"user_id" example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	PlanID      string     `json:"plan_id" example:"pln_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Status      string     `json:"status" enum:"trialing,active,trial_ended,paused,canceled,ended" example:"active" doc:"As of now. Keys under it are let in while it is trialing, active or canceled."`
	TrialEndsAt *time.Time `json:"trial_ends_at" nullable:"true" doc:"From when on a trial lets no key in."`
	PeriodStart *time.Time `json:"period_start" nullable:"true"`
	PeriodEnd   *time.Time `json:"period_end" nullable:"true" doc:"When a canceled one ends; an active one goes on."`
	EndsAt      *time.Time `json:"ends_at" nullable:"true" doc:"From when on its keys are refused, if nobody does anything: the end of a trial or of a canceled one's period. null: not known to come."`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`

	NextPlanID *string    `json:"next_plan_id" nullable:"true" example:"pln_0190c2f57d3a7c3e8f5a2b6d1c9e4a71" doc:"The plan that it changes to by itself, within a second of next_plan_at."`
	NextPlanAt *time.Time `json:"next_plan_at" nullable:"true"`
}

func (a *api) viewSubscription(s subscriptions.Subscription) subscriptionView {
	return subscriptionView{
		ID: s.ID.String(), UserID: s.UserID.String(), PlanID: s.PlanID.String(), Status: string(s.Standing(a.Now())),
		TrialEndsAt: s.TrialEndsAt, PeriodStart: s.PeriodStart, PeriodEnd: s.PeriodEnd, EndsAt: s.EndsAt(),
		NextPlanID: orNull(s.NextPlanID.String()), NextPlanAt: s.NextPlanAt, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
}

func (a *api) subscriptionAnswer(s subscriptions.Subscription, err error) (*resource[subscriptionView], error) {
	if err != nil {
		return nil, err
	}
	return &resource[subscriptionView]{ETag: etag(s.Version), Body: a.viewSubscription(s)}, nil
}

type createSubscriptionInput struct {
	Body struct {
		UserID      string     `json:"user_id" example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
		PlanID      string     `json:"plan_id" example:"pln_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
		Status      string     `json:"status,omitempty" enum:"active,trialing,paused,canceled,ended" doc:"Where it is not given: trialing with trial_ends_at or under a plan that has trial_days, else active."`
		TrialEndsAt *time.Time `json:"trial_ends_at,omitempty" doc:"Needed with the status trialing."`
		PeriodStart *time.Time `json:"period_start,omitempty"`
		PeriodEnd   *time.Time `json:"period_end,omitempty" doc:"Needed with the status canceled."`
	}
}

type patchSubscriptionInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Status      nullable[string]     `json:"status,omitempty" example:"paused" enum:"active,trialing,paused,canceled,ended" doc:"The state itself, for systems that keep subscriptions elsewhere. The actions know what leads to what."`
		TrialEndsAt nullable[*time.Time] `json:"trial_ends_at,omitempty"`
		PeriodStart nullable[*time.Time] `json:"period_start,omitempty"`
		PeriodEnd   nullable[*time.Time] `json:"period_end,omitempty"`
	}
}

type listSubscriptionsInput struct {
	PageInput
	UserID string `query:"user_id" maxLength:"64" doc:"Of this user." example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	PlanID string `query:"plan_id" maxLength:"64" doc:"On this plan now." example:"pln_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Status string `query:"status" enum:"trialing,active,trial_ended,paused,canceled,ended" doc:"As of now."`
}

func (a *api) registerSubscriptions() {
	huma.Register(a.huma, creating(operation(http.MethodPost, "/api/v1/subscriptions", "Subscriptions", "create-subscription", "Put a user on a plan", access.SubscriptionsWrite)), a.createSubscription)
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/subscriptions", "Subscriptions", "list-subscriptions", "List subscriptions", access.SubscriptionsRead), a.listSubscriptions)
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/subscriptions/{id}", "Subscriptions", "get-subscription", "Get a subscription", access.SubscriptionsRead),
		func(ctx context.Context, in *idInput) (*resource[subscriptionView], error) {
			sub, err := pathID[id.SubscriptionKind](in.ID)
			if err != nil {
				return nil, err
			}
			return a.subscriptionAnswer(a.Services.Subscriptions.ByID(ctx, caller(ctx), sub))
		})
	huma.Register(a.huma, operation(http.MethodPatch, "/api/v1/subscriptions/{id}", "Subscriptions", "update-subscription", "Change a subscription and every key under it", access.SubscriptionsWrite), a.patchSubscription)
	a.registerSubscriptionActs()
}

func (a *api) createSubscription(ctx context.Context, in *createSubscriptionInput) (*made[subscriptionView], error) {
	var f fault.Fields
	b := &in.Body
	n := subscriptions.NewSubscription{
		UserID:      optionalID[id.UserKind](&f, "body.user_id", b.UserID),
		PlanID:      optionalID[id.PlanKind](&f, "body.plan_id", b.PlanID),
		TrialEndsAt: b.TrialEndsAt, PeriodStart: b.PeriodStart, PeriodEnd: b.PeriodEnd,
	}
	if b.Status != "" {
		status := status(&f, b.Status)
		n.Status = &status
	}
	f.Check(b.UserID != "", "body.user_id", "the id of a user is needed")
	f.Check(b.PlanID != "", "body.plan_id", "the id of a plan is needed")
	if err := f.Err(); err != nil {
		return nil, err
	}
	out, err := a.subscriptionAnswer(a.Services.Subscriptions.Create(ctx, caller(ctx), n))
	if err != nil {
		return nil, err
	}
	return out.madeAt("/api/v1/subscriptions/" + out.Body.ID), nil
}

func status(f *fault.Fields, text string) subscriptions.Status {
	s, ok := apikey.ParseSubscriptionStatus(text)
	f.Check(ok, "body.status", "active, trialing, paused, canceled or ended")
	return s
}

func (a *api) listSubscriptions(ctx context.Context, in *listSubscriptionsInput) (*listOutput[subscriptionView], error) {
	last, err := after[id.SubscriptionKind](in.Cursor)
	if err != nil {
		return nil, err
	}
	var f fault.Fields
	filter := subscriptions.Filter{
		UserID: optionalID[id.UserKind](&f, "query.user_id", in.UserID),
		PlanID: optionalID[id.PlanKind](&f, "query.plan_id", in.PlanID),
		After:  last, Standing: subscriptions.Standing(in.Status), Limit: in.Limit + 1,
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	all, err := a.Services.Subscriptions.List(ctx, caller(ctx), filter)
	if err != nil {
		return nil, err
	}
	return pageOf(in.PageInput, all, a.viewSubscription, func(s subscriptions.Subscription) string { return s.ID.String() }), nil
}

func (a *api) patchSubscription(ctx context.Context, in *patchSubscriptionInput) (*resource[subscriptionView], error) {
	ref, err := subscriptionRef(in.ID, in.IfMatch)
	if err != nil {
		return nil, err
	}
	b := &in.Body
	p := subscriptions.Patch{TrialEndsAt: b.TrialEndsAt.Change, PeriodStart: b.PeriodStart.Change, PeriodEnd: b.PeriodEnd.Change}
	var f fault.Fields
	if b.Status.Present {
		p.Status = field.To(status(&f, b.Status.Value))
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return a.subscriptionAnswer(a.Services.Subscriptions.Update(ctx, caller(ctx), ref, p))
}

// subscriptionRef reads which subscription is meant, and in which version.
func subscriptionRef(path, match string) (ref subscriptions.Ref, err error) {
	if ref.ID, err = pathID[id.SubscriptionKind](path); err != nil {
		return ref, err
	}
	ref.Version, err = ifMatch(match)
	return ref, err
}
