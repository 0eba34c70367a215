package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
)

const mePath = "/api/v1/me"

type meOutput struct {
	Body struct {
		User    UserView    `json:"user"`
		Scopes  []string    `json:"scopes" example:"[\"keys:read\",\"users:read\"]" doc:"What the role allows at this moment; * is everything."`
		Session sessionView `json:"session" doc:"The session of this request."`
	}
}

type changePasswordInput struct {
	Body struct {
		CurrentPassword string `json:"current_password" minLength:"1" maxLength:"1024" format:"password" example:"correct horse battery staple"`
		Password        string `json:"password" minLength:"8" maxLength:"1024" format:"password" example:"incorrect pony capacitor pin" doc:"The new one."`
	}
}

// mine describes an operation that every signed-in user may do.
func mine(method, path, name, summary, description string) huma.Operation {
	op := operation(method, path, "Me", name, summary, "")
	op.Description = description
	op.Security = []map[string][]string{{SessionScheme: {}}}
	return op
}

// current is the session that a request acts by. A management key has none,
// whatever it may do otherwise.
func current(ctx context.Context) (identity.Current, error) {
	if c := visitOf(ctx).current; c != nil {
		return *c, nil
	}
	return identity.Current{}, fault.New(fault.Forbidden, "this is for a signed-in user").WithFix("sign in: POST /auth/v1/login/local")
}

func (a *api) registerMe() {
	a.registerMyKeys()
	huma.Register(a.huma, mine(http.MethodGet, mePath, "get-me", "Who is signed in", "The user of the session, with what the role allows."),
		func(ctx context.Context, _ *struct{}) (*meOutput, error) {
			c, err := current(ctx)
			if err != nil {
				return nil, err
			}
			out := &meOutput{}
			out.Body.User, out.Body.Session, out.Body.Scopes = ViewUser(c.User), viewSession(ctx)(c.Session), []string{}
			for _, s := range c.User.Role.Scopes() {
				out.Body.Scopes = append(out.Body.Scopes, string(s))
			}
			return out, nil
		})
	changing := mine(http.MethodPost, mePath+"/password", "change-my-password", "Change one's password",
		"Ends every session of the user, and begins a new one in the cookie. Attempts are counted as for signing in.")
	huma.Register(a.huma, changing, a.changePassword)
	huma.Register(a.huma, mine(http.MethodGet, mePath+"/sessions", "list-my-sessions", "List one's sessions", "The live ones."),
		func(ctx context.Context, in *PageInput) (*listOutput[sessionView], error) {
			c, err := current(ctx)
			if err != nil {
				return nil, err
			}
			return sessionPage(ctx, *in, func(f identity.Filter) ([]identity.Session, error) { return a.Services.Identity.Own(ctx, c, f) })
		})
	huma.Register(a.huma, mine(http.MethodDelete, mePath+"/sessions/{id}", "end-my-session", "End a session of one's own", "At once, wherever it is."),
		func(ctx context.Context, in *idInput) (*struct{}, error) {
			c, err := current(ctx)
			if err != nil {
				return nil, err
			}
			session, err := pathID[id.SessionKind](in.ID)
			if err != nil {
				return nil, err
			}
			return nil, a.Services.Identity.EndOwn(ctx, c, visitOf(ctx).from, session)
		})
	huma.Register(a.huma, mine(http.MethodDelete, mePath+"/sessions", "end-my-other-sessions", "End one's other sessions", "All but the session of this request."),
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			c, err := current(ctx)
			if err != nil {
				return nil, err
			}
			return nil, a.Services.Identity.EndOthers(ctx, c, visitOf(ctx).from)
		})
}

func (a *api) changePassword(ctx context.Context, in *changePasswordInput) (*cookieOutput, error) {
	c, err := current(ctx)
	if err != nil {
		return nil, err
	}
	r, err := a.Services.Identity.ChangePassword(ctx, c, identity.Change{
		Present: in.Body.CurrentPassword, New: in.Body.Password, From: visitOf(ctx).from,
	})
	if err == nil && r.Outcome == identity.Refused {
		return nil, invalid("body.current_password", "this is not the present password")
	}
	if err = signedIn(ctx, r, err); err != nil {
		return nil, err
	}
	return &cookieOutput{a.sessionCookie(r)}, nil
}
