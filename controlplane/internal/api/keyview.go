package api

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

type keyView struct {
	ID             string          `json:"id" example:"key_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Kind           string          `json:"kind" enum:"api,management"`
	Environment    *string         `json:"environment" nullable:"true" enum:"live,test" doc:"Of API keys."`
	Status         string          `json:"status" enum:"active,not_yet_valid,expired,disabled,revoked" doc:"What the key itself is now; its owner or subscription may stop it all the same."`
	Name           string          `json:"name" example:"ci"`
	Start          string          `json:"start" example:"lk_live_0123" doc:"How the secret begins, to tell keys apart."`
	Last4          string          `json:"last4" example:"JqhR" doc:"How the secret ends."`
	OwnerID        string          `json:"owner_id" example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	SubscriptionID *string         `json:"subscription_id" nullable:"true" doc:"null: judged without a plan."`
	Scopes         []string        `json:"scopes" example:"[\"reports:read\"]"`
	Tags           []string        `json:"tags"`
	Metadata       json.RawMessage `json:"metadata"`
	AllowCIDRs     []string        `json:"allow_cidrs" example:"[\"203.0.113.0/24\"]" doc:"Empty: from anywhere."`
	DenyCIDRs      []string        `json:"deny_cidrs" doc:"Wins over allow_cidrs."`
	AllowMethods   []string        `json:"allow_methods" doc:"Empty: any."`
	AllowPaths     []string        `json:"allow_paths" doc:"Empty: any. /reports allows what is at or below it; * stands for one segment."`
	NotBefore      *time.Time      `json:"not_before" nullable:"true"`
	ExpiresAt      *time.Time      `json:"expires_at" nullable:"true"`
	DisabledAt     *time.Time      `json:"disabled_at" nullable:"true"`
	RevokedAt      *time.Time      `json:"revoked_at" nullable:"true"`
	RevokeReason   *string         `json:"revoke_reason" nullable:"true" doc:"In the words of RFC 5280."`
	CreatedAt      time.Time       `json:"created_at"`
	UpdatedAt      time.Time       `json:"updated_at"`
}

func (a *api) viewKey(k keys.Key) keyView {
	return keyView{
		ID: k.ID.String(), Kind: k.Kind.String(), Environment: orNull(k.Environment.String()), Status: string(k.Status(a.Now())),
		Name: k.Name, Start: k.Start, Last4: k.Last4, OwnerID: k.OwnerID.String(), SubscriptionID: orNull(k.SubscriptionID.String()),
		Scopes: k.Scopes, Tags: k.Tags, Metadata: k.Metadata, AllowCIDRs: texts(k.AllowCIDRs), DenyCIDRs: texts(k.DenyCIDRs),
		AllowMethods: k.AllowMethods, AllowPaths: k.AllowPaths, NotBefore: k.NotBefore, ExpiresAt: k.ExpiresAt,
		DisabledAt: k.DisabledAt, RevokedAt: k.RevokedAt, RevokeReason: orNull(string(k.RevokeReason)),
		CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
	}
}

func texts(networks []netip.Prefix) []string {
	all := []string{}
	for _, n := range networks {
		all = append(all, n.String())
	}
	return all
}

type keyOutput struct {
	ETag string `header:"ETag"`
	Body keyView
}

type issuedOutput struct {
	ETag         string `header:"ETag"`
	Location     string `header:"Location"`
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Key    keyView `json:"key"`
		Secret string  `json:"secret" example:"lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR" doc:"The key in plain text. It is shown here and never again."`
	}
}

type issueKeyInput struct {
	Body struct {
		Name           string          `json:"name" minLength:"1" maxLength:"200" example:"ci"`
		Kind           string          `json:"kind,omitempty" enum:"api,management" default:"api"`
		Environment    string          `json:"environment,omitempty" enum:"live,test" doc:"Of API keys; live where it is not given."`
		OwnerID        string          `json:"owner_id,omitempty" example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70" doc:"The built-in service user where it is not given."`
		SubscriptionID string          `json:"subscription_id,omitempty" doc:"Instead of plan."`
		Plan           string          `json:"plan,omitempty" example:"pro" doc:"The slug of a plan: the owner's live subscription to it is used, or made."`
		Scopes         []string        `json:"scopes,omitempty" maxItems:"64" example:"[\"reports:read\"]"`
		Tags           []string        `json:"tags,omitempty" maxItems:"32" example:"[\"team/billing\"]"`
		Metadata       json.RawMessage `json:"metadata,omitempty" doc:"A JSON object of at most 4096 bytes, answered with every verdict."`
		AllowCIDRs     []string        `json:"allow_cidrs,omitempty" maxItems:"64" example:"[\"203.0.113.0/24\"]"`
		DenyCIDRs      []string        `json:"deny_cidrs,omitempty" maxItems:"64"`
		AllowMethods   []string        `json:"allow_methods,omitempty" maxItems:"16" example:"[\"GET\"]"`
		AllowPaths     []string        `json:"allow_paths,omitempty" maxItems:"64" example:"[\"/reports\"]"`
		NotBefore      *time.Time      `json:"not_before,omitempty"`
		ExpiresAt      *time.Time      `json:"expires_at,omitempty"`
		ExpiresInDays  int             `json:"expires_in_days,omitempty" minimum:"1" maximum:"36500" doc:"Instead of expires_at."`
	}
}

type patchKeyInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Name         nullable[string]          `json:"name,omitempty"`
		Scopes       nullable[[]string]        `json:"scopes,omitempty"`
		Tags         nullable[[]string]        `json:"tags,omitempty"`
		Metadata     nullable[json.RawMessage] `json:"metadata,omitempty"`
		AllowCIDRs   nullable[[]string]        `json:"allow_cidrs,omitempty"`
		DenyCIDRs    nullable[[]string]        `json:"deny_cidrs,omitempty"`
		AllowMethods nullable[[]string]        `json:"allow_methods,omitempty"`
		AllowPaths   nullable[[]string]        `json:"allow_paths,omitempty"`
		NotBefore    nullable[*time.Time]      `json:"not_before,omitempty"`
		ExpiresAt    nullable[*time.Time]      `json:"expires_at,omitempty"`
	}
}

type revokeKeyInput struct {
	ID        string `path:"id"`
	Wait      string `query:"wait" enum:"edges" doc:"edges: wait for the gateways, and answer a receipt."`
	TimeoutMS int64  `query:"timeout_ms" minimum:"0" maximum:"20000" default:"2000" doc:"With wait: for how long at most."`
	Body      *struct {
		Reason string `json:"reason,omitempty" enum:"unspecified,key_compromise,affiliation_changed,superseded,cessation_of_operation,privilege_withdrawn" default:"unspecified"`
	}
}

// reason is what the body says, if there is one.
func (in *revokeKeyInput) reason() keys.Reason {
	if in.Body == nil {
		return keys.Unspecified
	}
	return keys.Reason(in.Body.Reason)
}

type listKeysInput struct {
	PageInput
	Kind    string `query:"kind" enum:"api,management"`
	OwnerID string `query:"owner_id" maxLength:"64"`
	Plan    string `query:"plan" maxLength:"64" doc:"The slug of a plan."`
}
