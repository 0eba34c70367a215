package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/limits"
)

// notEnforced is said wherever limits are spoken of.
const notEnforced = "Limits are kept as data: this version does not enforce them."

type limitView struct {
	ID            string     `json:"id" example:"lim_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Name          string     `json:"name" example:"burst"`
	Kind          string     `json:"kind" enum:"rate,quota"`
	Amount        int64      `json:"amount" example:"100"`
	WindowSeconds *int       `json:"window_seconds" nullable:"true" example:"60" doc:"Of a rate."`
	Period        *string    `json:"period" nullable:"true" enum:"day,month,subscription" doc:"Of a quota."`
	TimeZone      *string    `json:"time_zone" nullable:"true" example:"UTC" doc:"Of a quota per day or month: whose calendar."`
	Subject       string     `json:"subject" enum:"key,subscription,user,client_ip"`
	Mode          string     `json:"mode" enum:"enforce,soft,shadow"`
	OnUnavailable string     `json:"on_unavailable" enum:"allow,deny"`
	Enforced      bool       `json:"enforced" doc:"Whether doors charge it. false: it is kept, and nothing is counted or refused by it, whatever its mode says."`
	ArchivedAt    *time.Time `json:"archived_at" nullable:"true" doc:"Since when plans take it no more."`
	CreatedAt     time.Time  `json:"created_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
}

func viewLimit(l limits.Limit) limitView {
	return limitView{
		ID: l.ID.String(), Name: l.Name, Kind: string(l.Kind), Amount: l.Amount, WindowSeconds: l.WindowSeconds, Period: orNull(string(l.Period)),
		TimeZone: orNull(l.TimeZone), Subject: string(l.Subject), Mode: string(l.Mode), OnUnavailable: string(l.OnUnavailable), Enforced: limits.Enforced,
		ArchivedAt: l.ArchivedAt, CreatedAt: l.CreatedAt, UpdatedAt: l.UpdatedAt,
	}
}

func limitAnswer(l limits.Limit, err error) (*resource[limitView], error) {
	if err != nil {
		return nil, err
	}
	return &resource[limitView]{ETag: etag(l.Version), Body: viewLimit(l)}, nil
}

type createLimitInput struct {
	Body struct {
		Name          string `json:"name" minLength:"1" maxLength:"64" example:"burst" doc:"a-z, 0-9 and -. By it a key has another amount. Several limits may have it, but of one plan only one."`
		Kind          string `json:"kind" enum:"rate,quota" example:"rate" doc:"rate: per sliding window. quota: per period."`
		Amount        int64  `json:"amount" minimum:"1" maximum:"1000000000000" example:"100" doc:"Units per window or period."`
		WindowSeconds *int   `json:"window_seconds,omitempty" minimum:"1" maximum:"3600" example:"60" doc:"Needed for a rate."`
		Period        string `json:"period,omitempty" enum:"day,month,subscription" doc:"Needed for a quota: days and months of the calendar, or the period of the subscription."`
		TimeZone      string `json:"time_zone,omitempty" maxLength:"64" doc:"Of a quota per day or month: a name of the IANA time zone database, such as Europe/Madrid; UTC where it is not given."`
		Subject       string `json:"subject,omitempty" enum:"key,subscription,user,client_ip" default:"key" doc:"What is counted by itself."`
		Mode          string `json:"mode,omitempty" enum:"enforce,soft,shadow" default:"enforce" doc:"What is to become of a request beyond the amount: refused; let in and reported; let in, and only what would have been is reported."`
		OnUnavailable string `json:"on_unavailable,omitempty" enum:"allow,deny" doc:"What is to become of a request that cannot be counted; where it is not given: allow for a rate, deny for a quota."`
	}
}

type patchLimitInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Amount        nullable[int64]           `json:"amount,omitempty" minimum:"1" maximum:"1000000000000" example:"200"`
		WindowSeconds nullable[*int]            `json:"window_seconds,omitempty" minimum:"1" maximum:"3600" doc:"Of a rate, which needs it."`
		Period        nullable[limits.Period]   `json:"period,omitempty" enum:"day,month,subscription" doc:"Of a quota, which needs it."`
		TimeZone      nullable[string]          `json:"time_zone,omitempty" maxLength:"64"`
		Subject       nullable[limits.Subject]  `json:"subject,omitempty" enum:"key,subscription,user,client_ip"`
		Mode          nullable[limits.Mode]     `json:"mode,omitempty" enum:"enforce,soft,shadow"`
		OnUnavailable nullable[limits.Fallback] `json:"on_unavailable,omitempty" enum:"allow,deny"`
		Archived      nullable[bool]            `json:"archived,omitempty" doc:"true: plans take it no more; those that have it keep it."`
	}
}

type listLimitsInput struct {
	PageInput
	Name     string `query:"name" maxLength:"64" example:"burst" doc:"Exactly this name."`
	Kind     string `query:"kind" enum:"rate,quota"`
	Archived string `query:"archived" enum:"true,false" doc:"Only those that are, or that are not."`
}

func (a *api) registerLimits() {
	describe := func(op huma.Operation) huma.Operation {
		op.Description += " " + notEnforced
		return op
	}
	huma.Register(a.huma, describe(creating(operation(http.MethodPost, "/api/v1/limits", "Limits", "create-limit", "Create a limit", access.PlansWrite))), a.createLimit)
	huma.Register(a.huma, describe(operation(http.MethodGet, "/api/v1/limits", "Limits", "list-limits", "List limits", access.PlansRead)), a.listLimits)
	huma.Register(a.huma, describe(operation(http.MethodGet, "/api/v1/limits/{id}", "Limits", "get-limit", "Get a limit", access.PlansRead)),
		func(ctx context.Context, in *idInput) (*resource[limitView], error) {
			limit, err := pathID[id.LimitKind](in.ID)
			if err != nil {
				return nil, err
			}
			return limitAnswer(a.Services.Limits.ByID(ctx, caller(ctx), limit))
		})
	huma.Register(a.huma, describe(operation(http.MethodPatch, "/api/v1/limits/{id}", "Limits", "update-limit", "Change a limit in every plan that has it", access.PlansWrite)), a.patchLimit)
}

func (a *api) createLimit(ctx context.Context, in *createLimitInput) (*made[limitView], error) {
	b := &in.Body
	out, err := limitAnswer(a.Services.Limits.Create(ctx, caller(ctx), limits.NewLimit{
		Name: b.Name, Kind: limits.Kind(b.Kind), Amount: b.Amount, WindowSeconds: b.WindowSeconds, Period: limits.Period(b.Period), TimeZone: b.TimeZone,
		Subject: limits.Subject(b.Subject), Mode: limits.Mode(b.Mode), OnUnavailable: limits.Fallback(b.OnUnavailable),
	}))
	if err != nil {
		return nil, err
	}
	return out.madeAt("/api/v1/limits/" + out.Body.ID), nil
}

func (a *api) listLimits(ctx context.Context, in *listLimitsInput) (*listOutput[limitView], error) {
	last, err := after[id.LimitKind](in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := a.Services.Limits.List(ctx, caller(ctx), limits.Filter{
		Name: in.Name, Kind: limits.Kind(in.Kind), Archived: yesOrNo(in.Archived), After: last, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(in.PageInput, all, viewLimit, func(l limits.Limit) string { return l.ID.String() }), nil
}

func (a *api) patchLimit(ctx context.Context, in *patchLimitInput) (*resource[limitView], error) {
	limit, err := pathID[id.LimitKind](in.ID)
	if err != nil {
		return nil, err
	}
	b := &in.Body
	p := limits.Patch{
		Amount: b.Amount.Change, WindowSeconds: b.WindowSeconds.Change, Period: b.Period.Change, TimeZone: b.TimeZone.Change,
		Subject: b.Subject.Change, Mode: b.Mode.Change, OnUnavailable: b.OnUnavailable.Change, Archived: b.Archived.Change,
	}
	if p.Version, err = ifMatch(in.IfMatch); err != nil {
		return nil, err
	}
	return limitAnswer(a.Services.Limits.Update(ctx, caller(ctx), limit, p))
}

// limitIDs reads the ids of limits.
func limitIDs(f *fault.Fields, location string, texts []string) []id.Limit {
	all := make([]id.Limit, len(texts))
	for i, text := range texts {
		at := location + "[" + strconv.Itoa(i) + "]"
		f.Check(text != "", at, "the id of a limit is needed")
		all[i] = optionalID[id.LimitKind](f, at, text)
	}
	return all
}

// textsOf writes ids.
func textsOf[K id.Kind](ids []id.Of[K]) []string {
	all := make([]string, len(ids))
	for i, one := range ids {
		all[i] = one.String()
	}
	return all
}
