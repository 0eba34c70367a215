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
	"github.com/latchkey/latchkey/controlplane/internal/plans"
)

// PlanView is a plan as the API answers it. It is exported because huma describes
// only exported embedded structs.
type PlanView struct {
	ID         string     `json:"id" example:"pln_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Slug       string     `json:"slug" example:"pro" doc:"Names the plan, as where a key is issued; unique."`
	Name       string     `json:"name" example:"Pro"`
	Scopes     []string   `json:"scopes" example:"[\"reports:*\"]" doc:"The most that a key under the plan may carry; empty: no bound."`
	Public     bool       `json:"public" doc:"Whether GET /v1/plans, which anybody may read, shows it."`
	MaxKeys    *int       `json:"max_keys" nullable:"true" example:"10" doc:"How many live API keys each user may have under it; null: any number. Retiring keys do not count, and a bound of the user's own goes before it."`
	ArchivedAt *time.Time `json:"archived_at" nullable:"true" doc:"Since when it takes no new subscriptions."`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`

	KeyMaxLifetimeDays *int `json:"key_max_lifetime_days" nullable:"true" example:"90" doc:"How long a key that is issued under it may live; null: for ever."`
	TrialDays          *int `json:"trial_days" nullable:"true" example:"14" doc:"How long a subscription that is made under it is a trial; null: it starts active."`

	LimitIDs []string `json:"limit_ids" example:"[\"lim_0190c2f57d3a7c3e8f5a2b6d1c9e4a70\"]" doc:"The limits of keys under it. This version keeps them and does not enforce them."`
}

// planDetailView is a plan with what it costs to find out.
type planDetailView struct {
	PlanView
	LiveKeys          int  `json:"live_keys" example:"1200" doc:"How many API keys a change of the plan touches: those that are good, or will be without a change of their dates, and were not rotated."`
	LiveKeysEstimated bool `json:"live_keys_estimated" doc:"false: live_keys is exact. true: there are more than 10,000, about live_keys."`
}

func viewPlan(p plans.Plan) PlanView {
	return PlanView{ID: p.ID.String(), Slug: p.Slug, Name: p.Name, Scopes: p.Scopes, Public: p.Public, ArchivedAt: p.ArchivedAt,
		MaxKeys: p.MaxKeys, KeyMaxLifetimeDays: p.KeyMaxLifetimeDays, TrialDays: p.TrialDays, LimitIDs: textsOf(p.LimitIDs), CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}

func planAnswer(p plans.Plan, err error) (*resource[PlanView], error) {
	if err != nil {
		return nil, err
	}
	return &resource[PlanView]{ETag: etag(p.Version), Body: viewPlan(p)}, nil
}

type createPlanInput struct {
	Body struct {
		Slug   string   `json:"slug" minLength:"1" maxLength:"64" example:"pro" doc:"a-z, 0-9 and -; unique."`
		Name   string   `json:"name" minLength:"1" maxLength:"200" example:"Pro"`
		Scopes []string `json:"scopes,omitempty" maxItems:"64" example:"[\"reports:*\"]" doc:"The most that a key under the plan may carry; no bound where it is empty or not given."`
		Public bool     `json:"public,omitempty" doc:"Whether GET /v1/plans, which anybody may read, shows it."`

		MaxKeys            *int `json:"max_keys,omitempty" minimum:"0" maximum:"1000000" example:"10" doc:"How many live API keys each user may have under it; any number where it is not given."`
		KeyMaxLifetimeDays *int `json:"key_max_lifetime_days,omitempty" minimum:"1" maximum:"36500" example:"90" doc:"How long a key that is issued under it may live; for ever where it is not given."`
		TrialDays          *int `json:"trial_days,omitempty" minimum:"1" maximum:"365" example:"14" doc:"A subscription that is made under it, by issuing a key too, starts as a trial of so many days."`

		LimitIDs []string `json:"limit_ids,omitempty" maxItems:"16" example:"[\"lim_0190c2f57d3a7c3e8f5a2b6d1c9e4a70\"]" doc:"No two of one name."`
	}
}

type patchPlanInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Slug     nullable[string]   `json:"slug,omitempty" minLength:"1" maxLength:"64"`
		Name     nullable[string]   `json:"name,omitempty" minLength:"1" maxLength:"200" example:"Professional"`
		Scopes   nullable[[]string] `json:"scopes,omitempty" maxItems:"64"`
		Public   nullable[bool]     `json:"public,omitempty"`
		Archived nullable[bool]     `json:"archived,omitempty" doc:"true: no new subscriptions; those there are go on."`

		MaxKeys            nullable[*int] `json:"max_keys,omitempty" minimum:"0" maximum:"1000000"`
		KeyMaxLifetimeDays nullable[*int] `json:"key_max_lifetime_days,omitempty" minimum:"1" maximum:"36500" doc:"For keys that are issued from now on."`
		TrialDays          nullable[*int] `json:"trial_days,omitempty" minimum:"1" maximum:"365" doc:"For subscriptions that are made from now on."`

		LimitIDs nullable[[]string] `json:"limit_ids,omitempty" maxItems:"16" doc:"All that the plan is to have, no two of one name."`
	}
}

type listPlansInput struct {
	PageInput
	Slug     string `query:"slug" maxLength:"64" doc:"Exactly this slug."`
	Archived string `query:"archived" enum:"true,false" doc:"Only those that are, or that are not."`
	Q        string `query:"q" maxLength:"200" example:"pro" doc:"A part of the slug or the name, of 3 to 64 characters, in either case."`
}

func (a *api) registerPlans() {
	huma.Register(a.huma, creating(operation(http.MethodPost, "/api/v1/plans", "Plans", "create-plan", "Create a plan", access.PlansWrite)), a.createPlan)
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/plans", "Plans", "list-plans", "List plans", access.PlansRead), a.listPlans)
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/plans/{id}", "Plans", "get-plan", "Get a plan", access.PlansRead), a.getPlan)
	huma.Register(a.huma, operation(http.MethodPatch, "/api/v1/plans/{id}", "Plans", "update-plan", "Change a plan and every key under it", access.PlansWrite), a.patchPlan)
}

func (a *api) createPlan(ctx context.Context, in *createPlanInput) (*made[PlanView], error) {
	b := &in.Body
	var f fault.Fields
	limits := limitIDs(&f, "body.limit_ids", b.LimitIDs)
	if err := f.Err(); err != nil {
		return nil, err
	}
	out, err := planAnswer(a.Services.Plans.Create(ctx, caller(ctx), plans.NewPlan{
		Slug: b.Slug, Name: b.Name, Scopes: b.Scopes, Public: b.Public,
		MaxKeys: b.MaxKeys, KeyMaxLifetimeDays: b.KeyMaxLifetimeDays, TrialDays: b.TrialDays, LimitIDs: limits,
	}))
	if err != nil {
		return nil, err
	}
	return out.madeAt("/api/v1/plans/" + out.Body.ID), nil
}

func (a *api) listPlans(ctx context.Context, in *listPlansInput) (*listOutput[PlanView], error) {
	last, err := after[id.PlanKind](in.Cursor)
	if err != nil {
		return nil, err
	}
	var wrong fault.Fields
	a.keepKeysOut(&wrong, "query.q", in.Q)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	all, err := a.Services.Plans.List(ctx, caller(ctx), plans.Filter{
		Slug: in.Slug, Archived: yesOrNo(in.Archived), Search: in.Q, After: last, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(in.PageInput, all, viewPlan, func(p plans.Plan) string { return p.ID.String() }), nil
}

// yesOrNo reads an optional query parameter; nil is none.
func yesOrNo(text string) *bool {
	if text == "" {
		return nil
	}
	yes := text == "true"
	return &yes
}

func (a *api) getPlan(ctx context.Context, in *idInput) (*resource[planDetailView], error) {
	plan, err := pathID[id.PlanKind](in.ID)
	if err != nil {
		return nil, err
	}
	p, err := a.Services.Plans.ByID(ctx, caller(ctx), plan)
	if err != nil {
		return nil, err
	}
	live, err := a.Services.Plans.LiveKeys(ctx, caller(ctx), plan)
	if err != nil {
		return nil, err
	}
	return &resource[planDetailView]{ETag: etag(p.Version), Body: planDetailView{PlanView: viewPlan(p), LiveKeys: live.Count, LiveKeysEstimated: live.Estimated}}, nil
}

func (a *api) patchPlan(ctx context.Context, in *patchPlanInput) (*resource[PlanView], error) {
	plan, err := pathID[id.PlanKind](in.ID)
	if err != nil {
		return nil, err
	}
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	b := &in.Body
	var f fault.Fields
	limits := limitIDs(&f, "body.limit_ids", b.LimitIDs.Value)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return planAnswer(a.Services.Plans.Update(ctx, caller(ctx), plan, plans.Patch{
		Slug: b.Slug.Change, Name: b.Name.Change, Scopes: b.Scopes.Change, Public: b.Public.Change, Archived: b.Archived.Change,
		MaxKeys: b.MaxKeys.Change, KeyMaxLifetimeDays: b.KeyMaxLifetimeDays.Change, TrialDays: b.TrialDays.Change,
		LimitIDs: field.Change[[]id.Limit]{Present: b.LimitIDs.Present, Value: limits}, Version: version,
	}))
}
