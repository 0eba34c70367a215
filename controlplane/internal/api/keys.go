package api

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

func (a *api) registerKeys() {
	a.registerIssue()
	a.registerKeyLists()
	a.registerKeyLives()
	a.registerKeyActions()
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/keys/{id}", "Keys", "get-key", "Get a key", access.KeysRead),
		func(ctx context.Context, in *idInput) (*resource[KeyView], error) {
			key, err := pathID[id.KeyKind](in.ID)
			if err != nil {
				return nil, err
			}
			return a.keyAnswer(a.Services.Keys.ByID(ctx, caller(ctx), key))
		})
	huma.Register(a.huma, operation(http.MethodPatch, "/api/v1/keys/{id}", "Keys", "update-key", "Change a key", access.KeysWrite), a.patchKey)
	revoke := operation(http.MethodPost, "/api/v1/keys/{id}/revoke", "Keys", "revoke-key", "Revoke a key, at once", access.KeysWrite)
	revoke.Description += " What it was rotated into goes with it, unless `only` is true. The first revocation's time and reason stay. With `wait=edges` it answers when every gateway has confirmed that it refuses the key, or when `timeout_ms` is over: 200 either way, with a receipt."
	huma.Register(a.huma, revoke, a.revokeKey)
	a.registerSwitch("disable", "Disable a key until it is enabled", a.Services.Keys.Disable)
	a.registerSwitch("enable", "Enable a disabled key", a.Services.Keys.Enable)
}

// registerSwitch registers an action on a key that takes no body.
func (a *api) registerSwitch(name, summary string, act func(context.Context, access.Caller, id.Key) (keys.Key, error)) {
	op := operation(http.MethodPost, "/api/v1/keys/{id}/"+name, "Keys", name+"-key", summary, access.KeysWrite)
	huma.Register(a.huma, op, func(ctx context.Context, in *idInput) (*resource[KeyView], error) {
		key, err := pathID[id.KeyKind](in.ID)
		if err != nil {
			return nil, err
		}
		return a.keyAnswer(act(ctx, caller(ctx), key))
	})
}

func (a *api) keyAnswer(k keys.Key, err error) (*resource[KeyView], error) {
	if err != nil {
		return nil, err
	}
	return &resource[KeyView]{ETag: etag(k.Version), Body: a.viewKey(k)}, nil
}

// networks reads networks in CIDR notation; an address stands for itself alone.
func networks(f *fault.Fields, location string, texts []string) []netip.Prefix {
	var all []netip.Prefix
	for i, text := range texts {
		p, err := apikey.ParseNetwork(text)
		if err != nil {
			f.Add(fmt.Sprintf("%s[%d]", location, i), "a network such as 203.0.113.0/24 or 2001:db8::/32")
		}
		all = append(all, p)
	}
	return all
}

func (a *api) patchKey(ctx context.Context, in *patchKeyInput) (*resource[KeyView], error) {
	key, err := pathID[id.KeyKind](in.ID)
	if err != nil {
		return nil, err
	}
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	var f fault.Fields
	b := in.Body
	p := keys.Patch{
		Name: b.Name.Change, Scopes: b.Scopes.Change, Tags: b.Tags.Change, Metadata: b.Metadata.Change,
		AllowMethods: b.AllowMethods.Change, AllowPaths: b.AllowPaths.Change,
		LimitOverrides: b.LimitOverrides.Change, NotBefore: b.NotBefore.Change, ExpiresAt: b.ExpiresAt.Change, Version: version,
		RotateEveryDays: b.RotateEveryDays.Change, RotateOverlapHours: b.RotateOverlapHours.Change,
		AllowCIDRs: changedNetworks(&f, "body.allow_cidrs", b.AllowCIDRs),
		DenyCIDRs:  changedNetworks(&f, "body.deny_cidrs", b.DenyCIDRs),
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return a.keyAnswer(a.Services.Keys.Update(ctx, caller(ctx), key, p))
}

func changedNetworks(f *fault.Fields, location string, c nullable[[]string]) field.Change[[]netip.Prefix] {
	return field.Change[[]netip.Prefix]{Present: c.Present, Value: networks(f, location, c.Value)}
}
