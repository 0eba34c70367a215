package api

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// KeyView is a key as the API answers it, and the command line prints it.
type KeyView struct {
	ID             string          `json:"id" example:"key_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Kind           string          `json:"kind" enum:"api,management"`
	Environment    *string         `json:"environment" nullable:"true" enum:"live,test" doc:"Of API keys."`
	Status         string          `json:"status" enum:"active,retiring,not_yet_valid,expired,disabled,retired,revoked" doc:"What the key itself is now; its owner or subscription may stop it all the same."`
	Name           string          `json:"name" example:"ci"`
	Label          *string         `json:"label" nullable:"true" example:"ci-main" doc:"One live key of an owner has it."`
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
	RotatedFrom    *string         `json:"rotated_from" nullable:"true" doc:"The key that this one succeeded."`
	RotatedTo      *string         `json:"rotated_to" nullable:"true" doc:"The key that succeeded this one."`
	RetiresAt      *time.Time      `json:"retires_at" nullable:"true" doc:"Until when it is good beside its successor."`
	LastUsedAt     *time.Time      `json:"last_used_at" nullable:"true" doc:"When it was last admitted, anywhere; null: never. It is told within seconds, and moves on once in a minute or two while the key is in use."`
	LastUsedIP     *string         `json:"last_used_ip" nullable:"true" example:"203.0.113.9" doc:"From where; null where that is not known. At a gateway it may be that of a use up to a minute earlier."`
	CreatedAt      time.Time       `json:"created_at"`
	UpdatedAt      time.Time       `json:"updated_at"`

	LimitOverrides map[string]int64 `json:"limit_overrides" example:"{\"burst\": 500}" doc:"Amounts in place of those of its plan's limits, by name. This version does not enforce limits."`

	RotateEveryDays    *int       `json:"rotate_every_days" nullable:"true" example:"30" doc:"How often its holder must rotate it; null: never."`
	RotateOverlapHours *int       `json:"rotate_overlap_hours" nullable:"true" example:"24" doc:"How long the old secret stays good then, and the grace after rotate_by."`
	RotateBy           *time.Time `json:"rotate_by" nullable:"true" doc:"When its holder must have rotated it. Past this by the overlap it has expired."`
}

func (a *api) viewKey(k keys.Key) KeyView { return ViewKey(k, a.Now()) }

// ViewKey shows a key as it is at a moment.
func ViewKey(k keys.Key, now time.Time) KeyView {
	v := KeyView{
		ID: k.ID.String(), Kind: k.Kind.String(), Environment: orNull(k.Environment.String()), Status: string(k.Status(now)),
		Name: k.Name, Label: orNull(k.Label), Start: k.Start, Last4: k.Last4, OwnerID: k.OwnerID.String(), SubscriptionID: orNull(k.SubscriptionID.String()),
		Scopes: k.Scopes, Tags: k.Tags, Metadata: k.Metadata, AllowCIDRs: texts(k.AllowCIDRs), DenyCIDRs: texts(k.DenyCIDRs),
		AllowMethods: k.AllowMethods, AllowPaths: k.AllowPaths, LimitOverrides: k.LimitOverrides, NotBefore: k.NotBefore, ExpiresAt: k.ExpiresAt,
		DisabledAt: k.DisabledAt, RevokedAt: k.RevokedAt, RevokeReason: orNull(string(k.RevokeReason)),
		RotatedFrom: orNull(k.RotatedFrom.String()), RotatedTo: orNull(k.RotatedTo.String()), RetiresAt: k.RetiresAt, RotateBy: k.RotateBy,
		LastUsedAt: k.LastUsedAt, CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
	}
	if k.LastUsedIP.IsValid() {
		v.LastUsedIP = orNull(k.LastUsedIP.String())
	}
	if k.RotateEveryDays > 0 {
		v.RotateEveryDays, v.RotateOverlapHours = &k.RotateEveryDays, &k.RotateOverlapHours
	}
	return v
}

func texts(networks []netip.Prefix) []string {
	all := []string{}
	for _, n := range networks {
		all = append(all, n.String())
	}
	return all
}

// IssuedView is a key with its secret.
type IssuedView struct {
	Key    KeyView `json:"key"`
	Secret string  `json:"secret,omitempty" example:"lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR" doc:"The key in plain text. It is shown here and never again; a key that was there already comes without."`
}

func (a *api) viewIssued(i keys.Issued) IssuedView {
	return IssuedView{Key: a.viewKey(i.Key), Secret: i.Secret.Reveal()}
}

type issuedOutput struct {
	Status       int
	ETag         string `header:"ETag"`
	Location     string `header:"Location"`
	CacheControl string `header:"Cache-Control"`
	Body         IssuedView
}

// issuedAnswer is 201 with the secret, or 200 with a key that was there already.
func (a *api) issuedAnswer(i keys.Issued, err error) (*issuedOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &issuedOutput{
		Status: http.StatusCreated, ETag: etag(i.Key.Version), Location: "/api/v1/keys/" + i.Key.ID.String(), CacheControl: "no-store", Body: a.viewIssued(i),
	}
	if i.Already {
		out.Status = http.StatusOK
	}
	return out, nil
}

type patchKeyInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Name         nullable[string]          `json:"name,omitempty" minLength:"1" maxLength:"200" example:"ci-main"`
		Scopes       nullable[[]string]        `json:"scopes,omitempty" maxItems:"64" example:"[\"reports:read\"]"`
		Tags         nullable[[]string]        `json:"tags,omitempty" maxItems:"32"`
		Metadata     nullable[json.RawMessage] `json:"metadata,omitempty"`
		AllowCIDRs   nullable[[]string]        `json:"allow_cidrs,omitempty" maxItems:"64"`
		DenyCIDRs    nullable[[]string]        `json:"deny_cidrs,omitempty" maxItems:"64"`
		AllowMethods nullable[[]string]        `json:"allow_methods,omitempty" maxItems:"16"`
		AllowPaths   nullable[[]string]        `json:"allow_paths,omitempty" maxItems:"64"`
		NotBefore    nullable[*time.Time]      `json:"not_before,omitempty"`
		ExpiresAt    nullable[*time.Time]      `json:"expires_at,omitempty"`

		LimitOverrides nullable[map[string]int64] `json:"limit_overrides,omitempty" doc:"All that the key is to have: names of limits with an amount each."`

		RotateEveryDays    nullable[int]  `json:"rotate_every_days,omitempty" minimum:"1" maximum:"365" doc:"From now on, or from not_before where that is to come; null: never."`
		RotateOverlapHours nullable[*int] `json:"rotate_overlap_hours,omitempty" minimum:"0" maximum:"720" doc:"null: rotation_overlap_hours of the settings."`
	}
}

type revokeKeyInput struct {
	ID        string `path:"id"`
	Wait      string `query:"wait" enum:"edges" doc:"edges: wait for the gateways, and answer a receipt."`
	TimeoutMS int64  `query:"timeout_ms" minimum:"0" maximum:"20000" default:"2000" doc:"With wait: for how long at most."`
	Body      *revocation
}

// revocation is the body of what revokes; it may be left out.
type revocation struct {
	Reason string `json:"reason,omitempty" enum:"unspecified,key_compromise,affiliation_changed,superseded,cessation_of_operation,privilege_withdrawn" default:"unspecified" doc:"In the words of RFC 5280. What was compromised cannot be restored."`
	Only   bool   `json:"only,omitempty" doc:"true spares what the key was rotated into."`
}

func (r *revocation) domain() keys.Revocation {
	if r == nil {
		return keys.Revocation{}
	}
	return keys.Revocation{Reason: keys.Reason(r.Reason), Only: r.Only}
}
