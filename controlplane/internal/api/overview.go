package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/overview"
)

type keyCountView struct {
	Total        int64 `json:"total" example:"1042"`
	Active       int64 `json:"active" example:"960"`
	Retiring     int64 `json:"retiring" example:"2" doc:"Rotated, and still good."`
	NotYetValid  int64 `json:"not_yet_valid" example:"0"`
	Expired      int64 `json:"expired" example:"30"`
	Disabled     int64 `json:"disabled" example:"10"`
	Retired      int64 `json:"retired" example:"15" doc:"Rotated, and its overlap is over."`
	Revoked      int64 `json:"revoked" example:"25"`
	ExpiringSoon int64 `json:"expiring_soon" example:"12" doc:"Active or retiring ones whose expires_at is within seven days."`
}

type userCountView struct {
	Total    int64 `json:"total" example:"310"`
	Disabled int64 `json:"disabled" example:"4"`
}

type planCountView struct {
	Total    int64 `json:"total" example:"5"`
	Archived int64 `json:"archived" example:"1"`
}

type gatewayCountView struct {
	Connected int `json:"connected" example:"3" doc:"Those in the list of gateways: processes at the edge that might still admit somebody. As of now."`
}

type overviewOutput struct {
	Body struct {
		CountedAt      time.Time         `json:"counted_at" doc:"The moment of the counts; those of gateways are of now."`
		Keys           *keyCountView     `json:"keys,omitempty" doc:"API keys. With keys:read."`
		ManagementKeys *keyCountView     `json:"management_keys,omitempty" doc:"With keys:read."`
		Users          *userCountView    `json:"users,omitempty" doc:"With users:read."`
		Plans          *planCountView    `json:"plans,omitempty" doc:"With plans:read."`
		Gateways       *gatewayCountView `json:"gateways,omitempty" doc:"With gateways:read."`
	}
}

type searchInput struct {
	Q string `query:"q" required:"true" minLength:"3" maxLength:"64" example:"ada" doc:"A part of what is looked for, in either case. Never a key: see POST /api/v1/keys/lookup."`
}

type searchOutput struct {
	Body struct {
		Keys  *[]KeyView  `json:"keys,omitempty" doc:"By name, start or last four. With keys:read."`
		Users *[]UserView `json:"users,omitempty" doc:"By name, username, email address or external id. With users:read."`
		Plans *[]PlanView `json:"plans,omitempty" doc:"By name or slug. With plans:read."`
	}
}

// anyOf describes an operation that needs one of several scopes.
func anyOf(op huma.Operation, scopes ...access.Scope) huma.Operation {
	op.Description = "Needs one of the scopes"
	op.Security = nil
	for i, s := range scopes {
		op.Description += map[bool]string{true: " ", false: ", "}[i == 0] + "`" + string(s) + "`"
		op.Security = append(op.Security, map[string][]string{SecurityScheme: {string(s)}})
	}
	op.Security = append(op.Security, map[string][]string{SessionScheme: {}})
	op.Description += "; what another would show is left out."
	return op
}

func (a *api) registerOverview() {
	figures := anyOf(operation(http.MethodGet, "/api/v1/overview", "Overview", "get-overview", "How much there is of everything", ""),
		access.KeysRead, access.UsersRead, access.PlansRead, access.GatewaysRead)
	figures.Description += " Counts are made for everybody at once and are up to fifteen seconds old."
	huma.Register(a.huma, figures, a.overview)
	search := anyOf(operation(http.MethodGet, "/api/v1/search", "Overview", "search", "Find keys, users and plans by a text", ""),
		access.KeysRead, access.UsersRead, access.PlansRead)
	search.Description += " At most five of each, the newest first."
	huma.Register(a.huma, search, a.search)
}

func (a *api) overview(ctx context.Context, _ *struct{}) (*overviewOutput, error) {
	f, err := a.Services.Overview.Figures(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	out := &overviewOutput{}
	out.Body.CountedAt, out.Body.Keys, out.Body.ManagementKeys = f.At, viewKeyCount(f.Keys), viewKeyCount(f.ManagementKeys)
	if f.Users != nil {
		out.Body.Users = &userCountView{Total: f.Users.Total, Disabled: f.Users.Aside}
	}
	if f.Plans != nil {
		out.Body.Plans = &planCountView{Total: f.Plans.Total, Archived: f.Plans.Aside}
	}
	if f.Gateways != nil {
		out.Body.Gateways = &gatewayCountView{Connected: *f.Gateways}
	}
	return out, nil
}

func viewKeyCount(c *overview.KeyCount) *keyCountView {
	if c == nil {
		return nil
	}
	n := c.ByStatus
	return &keyCountView{
		Total: c.Total, Active: n[keys.StatusActive], Retiring: n[keys.StatusRetiring], NotYetValid: n[keys.StatusNotYetValid],
		Expired: n[keys.StatusExpired], Disabled: n[keys.StatusDisabled], Retired: n[keys.StatusRetired], Revoked: n[keys.StatusRevoked],
		ExpiringSoon: c.ExpiringSoon,
	}
}

func (a *api) search(ctx context.Context, in *searchInput) (*searchOutput, error) {
	var wrong fault.Fields
	a.keepKeysOut(&wrong, "query.q", in.Q)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	hits, err := a.Services.Overview.Search(ctx, caller(ctx), in.Q)
	if err != nil {
		return nil, err
	}
	out := &searchOutput{}
	out.Body.Keys, out.Body.Users, out.Body.Plans = views(hits.Keys, a.viewKey), views(hits.Users, ViewUser), views(hits.Plans, viewPlan)
	return out, nil
}

// views are nil where the list is.
func views[D, V any](list []D, view func(D) V) *[]V {
	if list == nil {
		return nil
	}
	all := make([]V, len(list))
	for i, d := range list {
		all[i] = view(d)
	}
	return &all
}
