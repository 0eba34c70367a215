package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/id"
)

func (a *api) registerGateways() {
	list := operation(http.MethodGet, "/api/v1/gateways", "Gateways", "list-gateways", "List gateways", access.GatewaysRead)
	list.Description += " All of them are on one page: each process at the edge that might still admit somebody. One that is silent is forgotten once it refuses by itself."
	huma.Register(a.huma, list, func(ctx context.Context, _ *struct{}) (*listOutput[gatewayView], error) {
		all, err := a.Services.Gateways.List(ctx, caller(ctx))
		if err != nil {
			return nil, err
		}
		out := &listOutput[gatewayView]{Body: page[gatewayView]{Data: []gatewayView{}}}
		for _, g := range all {
			out.Body.Data = append(out.Body.Data, viewGateway(g))
		}
		return out, nil
	})
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/gateways/{id}", "Gateways", "get-gateway", "Get a gateway", access.GatewaysRead),
		func(ctx context.Context, in *idInput) (*gatewayOutput, error) {
			gateway, err := pathID[id.GatewayKind](in.ID)
			if err != nil {
				return nil, err
			}
			g, err := a.Services.Gateways.ByID(ctx, caller(ctx), gateway)
			if err != nil {
				return nil, err
			}
			return &gatewayOutput{Body: viewGateway(g)}, nil
		})
	remove := operation(http.MethodDelete, "/api/v1/gateways/{id}", "Gateways", "remove-gateway", "Give up a gateway that does not come back", access.SettingsWrite)
	remove.Description += " Receipts wait for it no longer. Until its `refuses_by` it might admit somebody by what it cached, if it does live: remove it only where its process is known to have ended. One that is heard is a 409."
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(a.huma, remove, func(ctx context.Context, in *idInput) (*struct{}, error) {
		gateway, err := pathID[id.GatewayKind](in.ID)
		if err != nil {
			return nil, err
		}
		return nil, a.Services.Gateways.Remove(ctx, caller(ctx), gateway)
	})
}

type gatewayOutput struct{ Body gatewayView }

type gatewayView struct {
	ID                 string    `json:"id" example:"gw_0190c2f57d3a4c3e8f5a2b6d1c9e4a70"`
	Instance           string    `json:"instance" format:"uuid" doc:"Drawn anew by each process."`
	Name               string    `json:"name" example:"kong-eu-1"`
	Version            string    `json:"version"`
	Address            *string   `json:"address" nullable:"true" doc:"Where it calls from, as seen here."`
	StaleBudgetSeconds float64   `json:"stale_budget_seconds" example:"900" doc:"For how long it uses what it cached without hearing of changes."`
	Applied            int64     `json:"applied" doc:"The change number up to which it applied everything."`
	RegisteredAt       time.Time `json:"registered_at"`
	LastSeenAt         time.Time `json:"last_seen_at"`
	RefusesBy          time.Time `json:"refuses_by" doc:"From when on it refuses every key by itself, if it hears nothing more."`
}

func viewGateway(g gateways.Gateway) gatewayView {
	return gatewayView{
		ID: g.ID().String(), Instance: g.Instance.String(), Name: g.Name, Version: g.Version, Address: orNull(g.Address),
		StaleBudgetSeconds: g.Budget.Seconds(), Applied: g.Applied,
		RegisteredAt: g.RegisteredAt.UTC(), LastSeenAt: g.LastSeenAt.UTC(), RefusesBy: g.RefusesBy().UTC(),
	}
}

type receiptView struct {
	Change    int64         `json:"change" doc:"The change number of what was done."`
	Connected int           `json:"connected" doc:"Gateways that might admit somebody by what they cached."`
	Confirmed int           `json:"confirmed" doc:"Those of them that said that they applied the change."`
	Pending   []pendingView `json:"pending" doc:"The others."`
	ElapsedMS int64         `json:"elapsed_ms"`
}

type pendingView struct {
	Gateway    string    `json:"gateway" example:"kong-eu-1"`
	Instance   string    `json:"instance" format:"uuid"`
	LastSeenAt time.Time `json:"last_seen_at"`
	RefusesBy  time.Time `json:"refuses_by" doc:"From when on it refuses every key by itself, if it hears nothing more."`
}

func viewReceipt(r gateways.Receipt) receiptView {
	v := receiptView{
		Change: r.Change, Connected: r.Connected, Confirmed: r.Confirmed, Pending: []pendingView{}, ElapsedMS: r.Elapsed.Milliseconds(),
	}
	for _, g := range r.Pending {
		v.Pending = append(v.Pending, pendingView{
			Gateway: g.Name, Instance: g.Instance.String(), LastSeenAt: g.LastSeenAt.UTC(), RefusesBy: g.RefusesBy().UTC(),
		})
	}
	return v
}

type revokeOutput struct {
	ETag string `header:"ETag"`
	Body revoked
}

// revoked is a key, or a key with a receipt where one was asked for.
type revoked struct {
	key     KeyView
	receipt *receiptView
}

type receiptAnswer struct {
	Key     KeyView     `json:"key"`
	Receipt receiptView `json:"receipt"`
}

// MarshalJSON writes the one or the other.
func (r revoked) MarshalJSON() ([]byte, error) {
	if r.receipt == nil {
		return json.Marshal(r.key)
	}
	return json.Marshal(receiptAnswer{r.key, *r.receipt})
}

// Schema is that of the two.
func (revoked) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[KeyView](), true, ""), r.Schema(reflect.TypeFor[receiptAnswer](), true, ""),
	}}
}

func (a *api) revokeKey(ctx context.Context, in *revokeKeyInput) (*revokeOutput, error) {
	key, err := pathID[id.KeyKind](in.ID)
	if err != nil {
		return nil, err
	}
	k, err := a.Services.Keys.RevokeBy(ctx, caller(ctx), key, in.Body.domain())
	if err != nil {
		return nil, err
	}
	out := &revokeOutput{ETag: etag(k.Version), Body: revoked{key: a.viewKey(k)}}
	if in.Wait == "" {
		return out, nil
	}
	receipt, err := a.Services.Gateways.Confirm(ctx, k.ID.String(), time.Duration(in.TimeoutMS)*time.Millisecond)
	if err != nil {
		return nil, err
	}
	view := viewReceipt(receipt)
	out.Body.receipt = &view
	return out, nil
}
