package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// UserView is a user as the API answers it, and the command line prints it.
type UserView struct {
	ID         string          `json:"id" example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Kind       string          `json:"kind" enum:"person,service"`
	Name       string          `json:"name" example:"Ada Lovelace"`
	Username   *string         `json:"username" nullable:"true" example:"ada" doc:"For signing in; unique."`
	Email      *string         `json:"email" nullable:"true" example:"ada@example.com"`
	ExternalID *string         `json:"external_id" nullable:"true" example:"cust-1815" doc:"Your own id of this user; unique."`
	Role       string          `json:"role" enum:"member,viewer,operator,admin,owner" doc:"What the user may do here, once signed in: GET /api/v1/me shows the scopes."`
	Metadata   json.RawMessage `json:"metadata"`
	DisabledAt *time.Time      `json:"disabled_at" nullable:"true" doc:"Since when all its keys are refused."`
	MaxKeys    *int            `json:"max_keys" nullable:"true" example:"10" doc:"How many live API keys the user may have; null: what each plan says. Retiring keys do not count."`
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

// ViewUser shows a user.
func ViewUser(u users.User) UserView {
	return UserView{
		ID: u.ID.String(), Kind: string(u.Kind), Name: u.Name, Username: orNull(u.Username), Email: orNull(u.Email),
		ExternalID: orNull(u.ExternalID), Role: string(u.Role), Metadata: u.Metadata, DisabledAt: u.DisabledAt, MaxKeys: u.MaxKeys,
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func userAnswer(u users.User, err error) (*resource[UserView], error) {
	if err != nil {
		return nil, err
	}
	return &resource[UserView]{ETag: etag(u.Version), Body: ViewUser(u)}, nil
}

type createUserInput struct {
	Body struct {
		Name       string          `json:"name" minLength:"1" maxLength:"200" example:"Ada Lovelace"`
		Kind       string          `json:"kind,omitempty" enum:"person,service" default:"person"`
		Username   string          `json:"username,omitempty" maxLength:"64" example:"ada" doc:"For signing in; unique."`
		Email      string          `json:"email,omitempty" maxLength:"254" example:"ada@example.com"`
		ExternalID string          `json:"external_id,omitempty" maxLength:"200" example:"cust-1815" doc:"Your own id of this user; unique."`
		Role       string          `json:"role,omitempty" enum:"member,viewer,operator,admin,owner" default:"member"`
		Metadata   json.RawMessage `json:"metadata,omitempty"`
		MaxKeys    *int            `json:"max_keys,omitempty" minimum:"0" maximum:"1000000" example:"10" doc:"How many live API keys the user may have; what each plan says where it is not given."`
	}
}

type patchUserInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Name       nullable[string]          `json:"name,omitempty" minLength:"1" maxLength:"200" example:"Ada King"`
		Username   nullable[string]          `json:"username,omitempty" maxLength:"64"`
		Email      nullable[string]          `json:"email,omitempty" maxLength:"254"`
		ExternalID nullable[string]          `json:"external_id,omitempty" maxLength:"200"`
		Role       nullable[access.Role]     `json:"role,omitempty" enum:"member,viewer,operator,admin,owner"`
		Metadata   nullable[json.RawMessage] `json:"metadata,omitempty"`
		MaxKeys    nullable[*int]            `json:"max_keys,omitempty" minimum:"0" maximum:"1000000"`
		Disabled   nullable[bool]            `json:"disabled,omitempty" doc:"true stops all keys of the user at once."`
	}
}

type listUsersInput struct {
	PageInput
	Kind       string `query:"kind" enum:"person,service"`
	Role       string `query:"role" enum:"member,viewer,operator,admin,owner"`
	Disabled   string `query:"disabled" enum:"true,false" doc:"Only those that are, or that are not."`
	Username   string `query:"username" maxLength:"64" example:"ada" doc:"Exactly this username."`
	ExternalID string `query:"external_id" maxLength:"200" doc:"Exactly this external id." example:"cust-1815"`
	Q          string `query:"q" maxLength:"200" example:"lovelace" doc:"A part of the name, username, email address or external id, of 3 to 64 characters, in either case."`
}

type idInput struct {
	ID string `path:"id"`
}

func (a *api) registerUsers() {
	huma.Register(a.huma, creating(operation(http.MethodPost, "/api/v1/users", "Users", "create-user", "Create a user", access.UsersWrite)),
		func(ctx context.Context, in *createUserInput) (*made[UserView], error) {
			b := in.Body
			out, err := userAnswer(a.Services.Users.Create(ctx, caller(ctx), users.NewUser{
				Kind: users.Kind(b.Kind), Name: b.Name, Username: b.Username, Email: b.Email, ExternalID: b.ExternalID,
				Role: access.Role(b.Role), Metadata: b.Metadata, MaxKeys: b.MaxKeys,
			}))
			if err != nil {
				return nil, err
			}
			return out.madeAt("/api/v1/users/" + out.Body.ID), nil
		})
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/users", "Users", "list-users", "List users", access.UsersRead), a.listUsers)
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/users/{id}", "Users", "get-user", "Get a user", access.UsersRead),
		func(ctx context.Context, in *idInput) (*resource[UserView], error) {
			user, err := pathID[id.UserKind](in.ID)
			if err != nil {
				return nil, err
			}
			return userAnswer(a.Services.Users.ByID(ctx, caller(ctx), user))
		})
	change := operation(http.MethodPatch, "/api/v1/users/{id}", "Users", "update-user", "Change a user", access.UsersWrite)
	change.Description += " The last owner who can sign in stays one: 409 `LAST_OWNER`."
	huma.Register(a.huma, change, a.patchUser)
}

func (a *api) listUsers(ctx context.Context, in *listUsersInput) (*listOutput[UserView], error) {
	last, err := after[id.UserKind](in.Cursor)
	if err != nil {
		return nil, err
	}
	var wrong fault.Fields
	a.keepKeysOut(&wrong, "query.q", in.Q)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	all, err := a.Services.Users.List(ctx, caller(ctx), users.Filter{
		Kind: users.Kind(in.Kind), Role: access.Role(in.Role), Disabled: yesOrNo(in.Disabled),
		Username: in.Username, ExternalID: in.ExternalID, Search: in.Q, After: last, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(in.PageInput, all, ViewUser, func(u users.User) string { return u.ID.String() }), nil
}

func (a *api) patchUser(ctx context.Context, in *patchUserInput) (*resource[UserView], error) {
	user, err := pathID[id.UserKind](in.ID)
	if err != nil {
		return nil, err
	}
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	b := in.Body
	return userAnswer(a.Services.Users.Update(ctx, caller(ctx), user, users.Patch{
		Name: b.Name.Change, Username: b.Username.Change, Email: b.Email.Change, ExternalID: b.ExternalID.Change,
		Role: b.Role.Change, Metadata: b.Metadata.Change, MaxKeys: b.MaxKeys.Change, Disabled: b.Disabled.Change, Version: version,
	}))
}
