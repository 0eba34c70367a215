package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

type keyConditions struct {
	Kind           string     `json:"kind,omitempty" enum:"api,management"`
	OwnerID        string     `json:"owner_id,omitempty" minLength:"1" maxLength:"64"`
	Plan           string     `json:"plan,omitempty" minLength:"1" maxLength:"64" example:"pro"`
	Status         string     `json:"status,omitempty" enum:"active,retiring,not_yet_valid,expired,disabled,retired,revoked"`
	Environment    string     `json:"environment,omitempty" enum:"live,test"`
	Tag            string     `json:"tag,omitempty" minLength:"1" maxLength:"64" example:"team/billing"`
	Scope          string     `json:"scope,omitempty" minLength:"1" maxLength:"64"`
	ExpiresBefore  *time.Time `json:"expires_before,omitempty"`
	LastUsedBefore *time.Time `json:"last_used_before,omitempty" doc:"Keys that were last used before this, or never: as far as was heard when they are selected."`
	Q              string     `json:"q,omitempty" minLength:"1" maxLength:"200"`
}

type actOnKeysInput struct {
	Body struct {
		Action     string        `json:"action" enum:"revoke,disable,enable,tag" example:"disable" doc:"What is done to each key."`
		Filter     keyConditions `json:"filter" doc:"At least one condition; as in the list, a key must meet them all."`
		DryRun     bool          `json:"dry_run,omitempty" doc:"true: only count."`
		Reason     string        `json:"reason,omitempty" enum:"unspecified,key_compromise,affiliation_changed,superseded,cessation_of_operation,privilege_withdrawn" default:"unspecified" doc:"Of a revocation."`
		Only       bool          `json:"only,omitempty" doc:"Of a revocation: true spares what keys were rotated into."`
		AddTags    []string      `json:"add_tags,omitempty" maxItems:"32" doc:"To tag."`
		RemoveTags []string      `json:"remove_tags,omitempty" maxItems:"32" doc:"To tag."`
		Cursor     string        `json:"cursor,omitempty" maxLength:"200" doc:"next_cursor of the answer before."`
	}
}

type actOnKeysOutput struct {
	Body struct {
		Matched    int     `json:"matched" example:"1200" doc:"Keys that the filter leaves; of this call, where there is a next_cursor."`
		Changed    int     `json:"changed" example:"1180" doc:"Keys that are otherwise now, successors included."`
		Refused    int     `json:"refused" example:"0" doc:"Keys that were left as they are: management keys with scopes that the caller lacks, or keys that would have too many tags."`
		NextCursor *string `json:"next_cursor" nullable:"true" doc:"Not null: the time was over before everything was done. Repeat the call with it."`
	}
}

func (a *api) registerKeyActions() {
	act := operation(http.MethodPost, "/api/v1/keys/bulk-action", "Keys", "act-on-keys", "Revoke, disable, enable or tag many keys", access.KeysWrite)
	act.Description += " At most 1,000 keys change at the same moment; what was done stays done if a later part fails."
	huma.Register(a.huma, act, a.actOnKeys)
}

func (a *api) actOnKeys(ctx context.Context, in *actOnKeysInput) (*actOnKeysOutput, error) {
	b := &in.Body
	last, err := after[id.KeyKind](b.Cursor)
	if err != nil {
		return nil, invalid("body.cursor", "next_cursor of an answer to the same action")
	}
	f, err := b.Filter.domain()
	if err != nil {
		return nil, err
	}
	done, err := a.Services.Keys.ActOn(ctx, caller(ctx), keys.Action{
		Act: keys.Act(b.Action), Filter: f, DryRun: b.DryRun, After: last, AddTags: b.AddTags, RemoveTags: b.RemoveTags,
		Revocation: keys.Revocation{Reason: keys.Reason(b.Reason), Only: b.Only},
	})
	if err != nil {
		return nil, err
	}
	out := &actOnKeysOutput{}
	out.Body.Matched, out.Body.Changed, out.Body.Refused = done.Matched, done.Changed, done.Refused
	if !done.Next.IsZero() {
		cursor := base64.RawURLEncoding.EncodeToString([]byte(done.Next.String()))
		out.Body.NextCursor = &cursor
	}
	return out, nil
}

func (c *keyConditions) domain() (keys.Filter, error) {
	var wrong fault.Fields
	f := keys.Filter{
		Kind: kindOf(c.Kind), OwnerID: optionalID[id.UserKind](&wrong, "body.filter.owner_id", c.OwnerID), Plan: c.Plan,
		Status: keys.Status(c.Status), Tag: c.Tag, Scope: c.Scope, ExpiresBefore: c.ExpiresBefore, LastUsedBefore: c.LastUsedBefore, Search: c.Q,
	}
	f.Environment, _ = apikey.ParseEnvironment(c.Environment)
	field.Time(&wrong, "body.filter.expires_before", c.ExpiresBefore)
	field.Time(&wrong, "body.filter.last_used_before", c.LastUsedBefore)
	return f, wrong.Err()
}
