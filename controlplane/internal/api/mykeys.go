package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

const myKeysPath = mePath + "/keys"

type listMyKeysInput struct {
	Status string `query:"status" enum:"active,retiring,not_yet_valid,expired,disabled,retired,revoked" doc:"As of now."`
	Q      string `query:"q" maxLength:"200" example:"ci" doc:"A part of the name, of the start or of the last four, of 3 to 64 characters, in either case."`
	Sort   string `query:"sort" enum:"created_at,-created_at,name,-name,expires_at,-expires_at,last_used_at,-last_used_at" default:"-created_at" doc:"The order of the list. A - before it stands for the reverse. What never expires comes after what does, what was never used before what was."`
	Cursor string `query:"cursor" maxLength:"2400" doc:"next_cursor of the page before, with the same filters and order; the first page without."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
}

type revokeMyKeyInput struct {
	ID   string `path:"id"`
	Body *revocation
}

func (a *api) registerMyKeys() {
	huma.Register(a.huma, mine(http.MethodGet, myKeysPath, "list-my-keys", "List one's keys", "The API keys that the user owns. What meets every filter that is given is listed."), a.listMyKeys)
	huma.Register(a.huma, mine(http.MethodGet, myKeysPath+"/{id}", "get-my-key", "Get a key of one's own", "Another's is not there."),
		func(ctx context.Context, in *idInput) (*resource[KeyView], error) {
			key, err := pathID[id.KeyKind](in.ID)
			if err != nil {
				return nil, err
			}
			return a.keyAnswer(a.Services.Keys.OwnedByID(ctx, caller(ctx), key))
		})
	huma.Register(a.huma, creating(mine(http.MethodPost, myKeysPath+"/{id}/rotate", "rotate-my-key", "Rotate a key of one's own",
		"The answer is its successor: the same settings, label and expiry, another id and secret. The old secret stays good for the overlap. 409 `NOT_ROTATABLE` for a key that is neither `active` nor `not_yet_valid`, or has a successor.")), a.rotateMyKey)
	huma.Register(a.huma, mine(http.MethodPost, myKeysPath+"/{id}/revoke", "revoke-my-key", "Revoke a key of one's own",
		"At once and everywhere, and with it what it was rotated into, unless `only` is true. Only an operator can undo it."),
		func(ctx context.Context, in *revokeMyKeyInput) (*resource[KeyView], error) {
			key, err := pathID[id.KeyKind](in.ID)
			if err != nil {
				return nil, err
			}
			return a.keyAnswer(a.Services.Keys.RevokeOwned(ctx, caller(ctx), key, in.Body.domain()))
		})
}

func (a *api) listMyKeys(ctx context.Context, in *listMyKeysInput) (*listOutput[KeyView], error) {
	f, err := a.filterOf(&KeyFilter{Status: in.Status, Q: in.Q, Sort: in.Sort})
	if err != nil {
		return nil, err
	}
	if err := placeAfter(in.Cursor, in.Sort, &f); err != nil {
		return nil, err
	}
	f.Limit = in.Limit + 1
	all, err := a.Services.Keys.Owned(ctx, caller(ctx), f)
	if err != nil {
		return nil, err
	}
	return pageOf(PageInput{Limit: in.Limit}, all, a.viewKey, func(k keys.Key) string { return placeOf(&k, in.Sort) }), nil
}

func (a *api) rotateMyKey(ctx context.Context, in *rotateKeyInput) (*issuedOutput, error) {
	key, err := pathID[id.KeyKind](in.ID)
	if err != nil {
		return nil, err
	}
	out, err := a.issuedAnswer(a.Services.Keys.RotateOwned(ctx, caller(ctx), key, in.overlap()))
	if err == nil {
		out.Location = myKeysPath + "/" + out.Body.Key.ID
	}
	return out, err
}
