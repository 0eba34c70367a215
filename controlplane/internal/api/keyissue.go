package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

// issueKeyRequest describes a key to be issued.
type issueKeyRequest struct {
	Name           string          `json:"name" minLength:"1" maxLength:"200" example:"ci"`
	Kind           string          `json:"kind,omitempty" enum:"api,management" default:"api"`
	Environment    string          `json:"environment,omitempty" enum:"live,test" doc:"Of API keys; live where it is not given."`
	OwnerID        string          `json:"owner_id,omitempty" minLength:"1" example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70" doc:"The built-in service user where it is not given."`
	SubscriptionID string          `json:"subscription_id,omitempty" minLength:"1" doc:"Instead of plan."`
	Plan           string          `json:"plan,omitempty" minLength:"1" example:"pro" doc:"The slug of a plan: the owner's live subscription to it is used, or made."`
	Label          string          `json:"label,omitempty" maxLength:"64" example:"ci-main" doc:"A name for programs: one live key of an owner has it. It never changes."`
	Idempotent     bool            `json:"idempotent,omitempty" doc:"true: where a live key of the owner has the label already, that key is the answer, with 200 and without its secret."`
	Scopes         []string        `json:"scopes,omitempty" maxItems:"64" example:"[\"reports:read\"]"`
	Tags           []string        `json:"tags,omitempty" maxItems:"32" example:"[\"team/billing\"]"`
	Metadata       json.RawMessage `json:"metadata,omitempty" doc:"A JSON object of at most 4096 bytes, answered with every verdict."`
	AllowCIDRs     []string        `json:"allow_cidrs,omitempty" maxItems:"64" example:"[\"203.0.113.0/24\"]"`
	DenyCIDRs      []string        `json:"deny_cidrs,omitempty" maxItems:"64"`
	AllowMethods   []string        `json:"allow_methods,omitempty" maxItems:"16" example:"[\"GET\"]"`
	AllowPaths     []string        `json:"allow_paths,omitempty" maxItems:"64" example:"[\"/reports\"]"`
	NotBefore      *time.Time      `json:"not_before,omitempty"`
	ExpiresAt      *time.Time      `json:"expires_at,omitempty" doc:"Where the plan, or without one key_max_lifetime_days of the settings, bounds a key's life and this is not given, it is that bound."`
	ExpiresInDays  int             `json:"expires_in_days,omitempty" minimum:"1" maximum:"36500" doc:"Instead of expires_at."`

	LimitOverrides map[string]int64 `json:"limit_overrides,omitempty" example:"{\"burst\": 500}" doc:"Amounts of the key's own in place of those of its plan's limits, by name. At most 16; names that the plan lacks mean nothing. This version keeps them and does not enforce limits."`

	RotateEveryDays    int  `json:"rotate_every_days,omitempty" minimum:"1" maximum:"365" doc:"How often the holder must rotate it, with POST /v1/keys/self/rotate; POST /v1/auth tells the holder by Latchkey-Rotate-By. The first time counts from now, or from not_before where that is to come. Never where it is not given."`
	RotateOverlapHours *int `json:"rotate_overlap_hours,omitempty" minimum:"0" maximum:"720" doc:"With rotate_every_days: how long the old secret stays good after that, and the grace after the deadline; rotation_overlap_hours of the settings where it is not given."`
}

type issueKeyInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"A repetition under it answers what the first made, with 200 and without the secret, for 24 hours. Another body under it is 422."`
	Body           issueKeyRequest
}

type issueKeysInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"As for one key."`
	Body           struct {
		Keys []issueKeyRequest `json:"keys" minItems:"1" maxItems:"1000"`
	}
}

type issueKeysOutput struct {
	Status       int
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Keys []IssuedView `json:"keys" doc:"In the order of the request."`
	}
}

func (a *api) registerIssue() {
	issue := creating(operation(http.MethodPost, "/api/v1/keys", "Keys", "issue-key", "Issue a key", access.KeysWrite))
	issue.Description += " The answer is the only place where the secret ever is. A management key may carry only scopes that its issuer holds." +
		" While there is neither an owner nor a management key, the set-up token opens this for `\"kind\": \"management\"`." +
		" 409 `MAX_KEYS_EXCEEDED` where the owner has as many live keys as allowed."
	issue.RequestBody = exampleBodies(map[string]any{
		"api":        map[string]any{"name": "ci", "plan": "pro", "scopes": []string{"reports:read"}, "tags": []string{"team/billing"}, "expires_in_days": 90},
		"management": map[string]any{"name": "terraform", "kind": "management", "scopes": []access.Scope{access.KeysRead, access.KeysWrite}},
	})
	issue.Responses = a.alsoOK("The key that was there already, without its secret.", reflect.TypeFor[IssuedView]())
	huma.Register(a.huma, issue, func(ctx context.Context, in *issueKeyInput) (*issuedOutput, error) {
		n, err := in.Body.domain()
		if err != nil {
			return nil, err
		}
		return a.issuedAnswer(a.Services.Keys.IssueOnce(ctx, caller(ctx), n, in.IdempotencyKey))
	})
	many := creating(operation(http.MethodPost, "/api/v1/keys/bulk-issue", "Keys", "issue-keys", "Issue up to 1,000 keys", access.KeysWrite))
	many.Description += " All of them or none. Each is as in `POST /api/v1/keys`."
	many.Responses = a.alsoOK("Only keys that were there already, without their secrets.", reflect.TypeFor[issueKeysOutput]().Field(2).Type)
	huma.Register(a.huma, many, a.issueKeys)
}

// alsoOK describes a 200 beside an operation's 201.
func (a *api) alsoOK(description string, body reflect.Type) map[string]*huma.Response {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(body, true, "IssueKeysOutputBody")
	return map[string]*huma.Response{"200": {
		Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}},
	}}
}

func (a *api) issueKeys(ctx context.Context, in *issueKeysInput) (*issueKeysOutput, error) {
	batch := keys.Batch{IdempotencyKey: in.IdempotencyKey}
	var f fault.Fields
	for i := range in.Body.Keys {
		n, err := in.Body.Keys[i].domain()
		f.Take(fault.Within(err, "body", fmt.Sprintf("body.keys[%d]", i)))
		batch.Keys = append(batch.Keys, n)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	issued, err := a.Services.Keys.IssueMany(ctx, caller(ctx), batch)
	if err != nil {
		return nil, err
	}
	out := &issueKeysOutput{Status: http.StatusOK, CacheControl: "no-store"}
	for _, i := range issued {
		if !i.Already {
			out.Status = http.StatusCreated
		}
		out.Body.Keys = append(out.Body.Keys, a.viewIssued(i))
	}
	return out, nil
}

// domain parses what JSON cannot express by itself. Its error is Invalid.
func (b *issueKeyRequest) domain() (keys.NewKey, error) {
	var f fault.Fields
	n := keys.NewKey{
		OwnerID:        optionalID[id.UserKind](&f, "body.owner_id", b.OwnerID),
		SubscriptionID: optionalID[id.SubscriptionKind](&f, "body.subscription_id", b.SubscriptionID),
		Plan:           b.Plan, Name: b.Name, Label: b.Label, Idempotent: b.Idempotent, Scopes: b.Scopes, Tags: b.Tags, Metadata: b.Metadata,
		AllowCIDRs: networks(&f, "body.allow_cidrs", b.AllowCIDRs), DenyCIDRs: networks(&f, "body.deny_cidrs", b.DenyCIDRs),
		AllowMethods: b.AllowMethods, AllowPaths: b.AllowPaths,
		LimitOverrides: b.LimitOverrides, NotBefore: b.NotBefore, ExpiresAt: b.ExpiresAt, ExpiresInDays: b.ExpiresInDays,
		RotateEveryDays: b.RotateEveryDays, RotateOverlapHours: b.RotateOverlapHours,
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
