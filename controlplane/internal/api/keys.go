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
	issue := creating(operation(http.MethodPost, "/api/v1/keys", "Keys", "issue-key", "Issue a key", access.KeysWrite))
	issue.Description += " The answer is the only place where the secret ever is. A management key may carry only scopes that its issuer holds." +
		" While there is neither an owner nor a management key, the set-up token opens this for `\"kind\": \"management\"`."
	huma.Register(a.huma, issue, a.issueKey)
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/keys", "Keys", "list-keys", "List keys", access.KeysRead), a.listKeys)
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/keys/{id}", "Keys", "get-key", "Get a key", access.KeysRead),
		func(ctx context.Context, in *idInput) (*keyOutput, error) {
			key, err := pathID[id.KeyKind](in.ID)
			if err != nil {
				return nil, err
			}
			return a.keyAnswer(a.Services.Keys.ByID(ctx, caller(ctx), key))
		})
	huma.Register(a.huma, operation(http.MethodPatch, "/api/v1/keys/{id}", "Keys", "update-key", "Change a key", access.KeysWrite), a.patchKey)
	revoke := operation(http.MethodPost, "/api/v1/keys/{id}/revoke", "Keys", "revoke-key", "Revoke a key, for good and at once", access.KeysWrite)
	revoke.Description += " With `wait=edges` it answers when every gateway has confirmed that it refuses the key, or when `timeout_ms` is over: 200 either way, with a receipt."
	huma.Register(a.huma, revoke, a.revokeKey)
	a.registerSwitch("disable", "Disable a key until it is enabled", a.Services.Keys.Disable)
	a.registerSwitch("enable", "Enable a disabled key", a.Services.Keys.Enable)
}

// registerSwitch registers an action on a key that takes no body.
func (a *api) registerSwitch(name, summary string, act func(context.Context, access.Caller, id.Key) (keys.Key, error)) {
	op := operation(http.MethodPost, "/api/v1/keys/{id}/"+name, "Keys", name+"-key", summary, access.KeysWrite)
	huma.Register(a.huma, op, func(ctx context.Context, in *idInput) (*keyOutput, error) {
		key, err := pathID[id.KeyKind](in.ID)
		if err != nil {
			return nil, err
		}
		return a.keyAnswer(act(ctx, caller(ctx), key))
	})
}

func (a *api) keyAnswer(k keys.Key, err error) (*keyOutput, error) {
	if err != nil {
		return nil, err
	}
	return &keyOutput{ETag: etag(k.Version), Body: a.viewKey(k)}, nil
}

func (a *api) issueKey(ctx context.Context, in *issueKeyInput) (*issuedOutput, error) {
	n, err := in.newKey()
	if err != nil {
		return nil, err
	}
	issued, err := a.Services.Keys.Issue(ctx, caller(ctx), n)
	if err != nil {
		return nil, err
	}
	out := &issuedOutput{
		ETag: etag(issued.Key.Version), Location: "/api/v1/keys/" + issued.Key.ID.String(), CacheControl: "no-store",
	}
	out.Body.Key, out.Body.Secret = a.viewKey(issued.Key), issued.Secret.Reveal()
	return out, nil
}

// newKey parses what JSON cannot express by itself.
func (in *issueKeyInput) newKey() (keys.NewKey, error) {
	var f fault.Fields
	b := in.Body
	n := keys.NewKey{
		OwnerID:        optionalID[id.UserKind](&f, "body.owner_id", b.OwnerID),
		SubscriptionID: optionalID[id.SubscriptionKind](&f, "body.subscription_id", b.SubscriptionID),
		Plan:           b.Plan, Name: b.Name, Scopes: b.Scopes, Tags: b.Tags, Metadata: b.Metadata,
		AllowCIDRs: networks(&f, "body.allow_cidrs", b.AllowCIDRs), DenyCIDRs: networks(&f, "body.deny_cidrs", b.DenyCIDRs),
		AllowMethods: b.AllowMethods, AllowPaths: b.AllowPaths,
		NotBefore: b.NotBefore, ExpiresAt: b.ExpiresAt, ExpiresInDays: b.ExpiresInDays,
	}
	if b.Kind == apikey.KindManagement.String() {
		n.Kind = apikey.KindManagement
	}
	if b.Environment != "" {
		var ok bool
		n.Environment, ok = apikey.ParseEnvironment(b.Environment)
		f.Check(ok, "body.environment", "live or test")
	}
	return n, f.Err()
}

// networks reads networks in CIDR notation; an address stands for itself alone.
func networks(f *fault.Fields, location string, texts []string) []netip.Prefix {
	var all []netip.Prefix
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); err != nil && addrErr == nil && addr.Zone() == "" {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			f.Add(fmt.Sprintf("%s[%d]", location, i), "a network such as 203.0.113.0/24 or 2001:db8::/32")
		}
		all = append(all, p)
	}
	return all
}

func (a *api) listKeys(ctx context.Context, in *listKeysInput) (*listOutput[keyView], error) {
	last, err := after[id.KeyKind](in.Cursor)
	if err != nil {
		return nil, err
	}
	var f fault.Fields
	filter := keys.Filter{
		OwnerID: optionalID[id.UserKind](&f, "query.owner_id", in.OwnerID), Plan: in.Plan, After: last, Limit: in.Limit + 1,
	}
	if in.Kind != "" {
		kind := apikey.KindAPI
		if in.Kind == apikey.KindManagement.String() {
			kind = apikey.KindManagement
		}
		filter.Kind = &kind
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	all, err := a.Services.Keys.List(ctx, caller(ctx), filter)
	if err != nil {
		return nil, err
	}
	return pageOf(in.PageInput, all, a.viewKey, func(k keys.Key) string { return k.ID.String() }), nil
}

func (a *api) patchKey(ctx context.Context, in *patchKeyInput) (*keyOutput, error) {
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
		NotBefore: b.NotBefore.Change, ExpiresAt: b.ExpiresAt.Change, Version: version,
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
