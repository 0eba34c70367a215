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
	Status      string     `json:"status" enum:"active,trialing,paused,canceled,ended"`
	TrialEndsAt *time.Time `json:"trial_ends_at" nullable:"true"`
	PeriodEnd   *time.Time `json:"period_end" nullable:"true" doc:"When a canceled one ends."`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

func viewSubscription(s subscriptions.Subscription) subscriptionView {
	return subscriptionView{
		ID: s.ID.String(), UserID: s.UserID.String(), PlanID: s.PlanID.String(), Status: s.Status.String(),
		TrialEndsAt: s.TrialEndsAt, PeriodEnd: s.PeriodEnd, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
}

type subscriptionOutput struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     subscriptionView
}

func subscriptionAnswer(s subscriptions.Subscription, err error) (*subscriptionOutput, error) {
	if err != nil {
		return nil, err
	}
	return &subscriptionOutput{ETag: etag(s.Version), Body: viewSubscription(s)}, nil
}

type createSubscriptionInput struct {
	Body struct {
		UserID      string     `json:"user_id" example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
		PlanID      string     `json:"plan_id" example:"pln_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
		Status      string     `json:"status,omitempty" enum:"active,trialing,paused,canceled,ended" default:"active"`
		TrialEndsAt *time.Time `json:"trial_ends_at,omitempty" doc:"Needed while trialing."`
		PeriodEnd   *time.Time `json:"period_end,omitempty" doc:"Needed once canceled."`
	}
}

type patchSubscriptionInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Status      string               `json:"status,omitempty" example:"paused" enum:"active,trialing,paused,canceled,ended"`
		TrialEndsAt nullable[*time.Time] `json:"trial_ends_at,omitempty"`
		PeriodEnd   nullable[*time.Time] `json:"period_end,omitempty"`
	}
}

type listSubscriptionsInput struct {
	PageInput
	UserID string `query:"user_id" maxLength:"64"`
	PlanID string `query:"plan_id" maxLength:"64"`
}

func (a *api) registerSubscriptions() {
	huma.Register(a.huma, creating(operation(http.MethodPost, "/api/v1/subscriptions", "Subscriptions", "create-subscription", "Put a user on a plan", access.SubscriptionsWrite)), a.createSubscription)
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/subscriptions", "Subscriptions", "list-subscriptions", "List subscriptions", access.SubscriptionsRead), a.listSubscriptions)
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/subscriptions/{id}", "Subscriptions", "get-subscription", "Get a subscription", access.SubscriptionsRead),
		func(ctx context.Context, in *idInput) (*subscriptionOutput, error) {
			sub, err := pathID[id.SubscriptionKind](in.ID)
			if err != nil {
				return nil, err
			}
			return subscriptionAnswer(a.Services.Subscriptions.ByID(ctx, caller(ctx), sub))
		})
	huma.Register(a.huma, operation(http.MethodPatch, "/api/v1/subscriptions/{id}", "Subscriptions", "update-subscription", "Change a subscription and every key under it", access.SubscriptionsWrite), a.patchSubscription)
}

func (a *api) createSubscription(ctx context.Context, in *createSubscriptionInput) (*subscriptionOutput, error) {
	var f fault.Fields
	b := in.Body
	n := subscriptions.NewSubscription{
		UserID: optionalID[id.UserKind](&f, "body.user_id", b.UserID),
		PlanID: optionalID[id.PlanKind](&f, "body.plan_id", b.PlanID),
		Status: status(&f, b.Status), TrialEndsAt: b.TrialEndsAt, PeriodEnd: b.PeriodEnd,
	}
	f.Check(b.UserID != "", "body.user_id", "the id of a user is needed")
	f.Check(b.PlanID != "", "body.plan_id", "the id of a plan is needed")
	if err := f.Err(); err != nil {
		return nil, err
	}
	out, err := subscriptionAnswer(a.Services.Subscriptions.Create(ctx, caller(ctx), n))
	if err == nil {
		out.Location = "/api/v1/subscriptions/" + out.Body.ID
	}
	return out, err
}

func status(f *fault.Fields, text string) subscriptions.Status {
	if text == "" {
		return apikey.Active
	}
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
		After:  last, Limit: in.Limit + 1,
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	all, err := a.Services.Subscriptions.List(ctx, caller(ctx), filter)
	if err != nil {
		return nil, err
	}
	return pageOf(in.PageInput, all, viewSubscription, func(s subscriptions.Subscription) string { return s.ID.String() }), nil
}

func (a *api) patchSubscription(ctx context.Context, in *patchSubscriptionInput) (*subscriptionOutput, error) {
	sub, err := pathID[id.SubscriptionKind](in.ID)
	if err != nil {
		return nil, err
	}
	p := subscriptions.Patch{TrialEndsAt: in.Body.TrialEndsAt.Change, PeriodEnd: in.Body.PeriodEnd.Change}
	if p.Version, err = ifMatch(in.IfMatch); err != nil {
		return nil, err
	}
	var f fault.Fields
	if in.Body.Status != "" {
		p.Status = field.To(status(&f, in.Body.Status))
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return subscriptionAnswer(a.Services.Subscriptions.Update(ctx, caller(ctx), sub, p))
}
