package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/web"
)

const (
	authPath  = "/auth/v1/"
	setupPath = authPath + "setup"
	tagSignIn = "Sign-in"

	examplePassword = "correct horse battery staple"
)

type cookieOutput struct {
	SetCookie string `header:"Set-Cookie" doc:"The session: HttpOnly, SameSite=Lax, Path=/, and Secure where COOKIE_SECURE is on."`
}

type setupInput struct {
	Body struct {
		Username string `json:"username" minLength:"1" maxLength:"64" example:"ada" doc:"Of the first owner, for signing in."`
		Password string `json:"password" minLength:"8" maxLength:"1024" format:"password" example:"correct horse battery staple"`
	}
}

type setupOutput struct {
	SetCookie string `header:"Set-Cookie"`
	Location  string `header:"Location"`
	Body      UserView
}

type loginInput struct {
	Body struct {
		Username string `json:"username,omitempty" maxLength:"254" example:"ada" doc:"The username, or the email address where it is that of one user alone."`
		Email    string `json:"email,omitempty" maxLength:"254" example:"ada@example.com" doc:"In the place of username, with the same meaning."`
		Password string `json:"password" minLength:"1" maxLength:"1024" format:"password" example:"correct horse battery staple"`
	}
}

type providerView struct {
	ID   string `json:"id" example:"local"`
	Kind string `json:"kind" enum:"password" doc:"password: POST /auth/v1/login/local."`
	Name string `json:"name" example:"Password" doc:"For a button."`
}

// open describes an operation that needs no credential.
func open(method, path, name, summary, description string) huma.Operation {
	return huma.Operation{
		OperationID: name, Method: method, Path: path, Tags: []string{tagSignIn}, Summary: summary, Description: description,
	}
}

func (a *api) registerAuth() {
	setup := creating(open(http.MethodPost, setupPath, "setup", "Make the first owner",
		"Needs the set-up token that `latchkey serve` prints, as the Bearer credential. Signs the new owner in. The first owner or management key closes the set-up for good."))
	setup.Security = []map[string][]string{{SecurityScheme: {}}}
	huma.Register(a.huma, setup, a.setup)
	login := open(http.MethodPost, authPath+"login/local", "login-local", "Sign in with a password",
		"Begins a session, in a cookie. An unknown user and a wrong password have the same answer. Attempts are counted by account and network: past ten, 429 says in Retry-After when the next is looked at.")
	login.RequestBody = exampleBodies(map[string]any{
		"username": map[string]any{"username": "ada", "password": examplePassword},
		"email":    map[string]any{"email": "ada@example.com", "password": examplePassword},
	})
	huma.Register(a.huma, login, a.login)
	huma.Register(a.huma, open(http.MethodPost, authPath+"logout", "logout", "Sign out",
		"Ends the session of the cookie, and removes the cookie; also where the session was over already."),
		func(ctx context.Context, _ *struct{}) (*cookieOutput, error) {
			return &cookieOutput{a.cookie(identity.Token{}, 0)}, a.Services.Identity.SignOut(ctx, visitOf(ctx).token, visitOf(ctx).from)
		})
	huma.Register(a.huma, open(http.MethodPost, authPath+"refresh", "refresh", "Refresh the session",
		"Gives the session a new token and moves its idle end; the old token is nothing at once. A session lives `session_idle_hours` of the settings without a refresh, and `session_max_days` in all."), a.refresh)
	huma.Register(a.huma, open(http.MethodGet, authPath+"providers", "list-sign-in-ways", "List the ways to sign in", "What a sign-in page shows."),
		func(context.Context, *struct{}) (*listOutput[providerView], error) {
			return &listOutput[providerView]{Body: page[providerView]{Data: []providerView{{ID: "local", Kind: "password", Name: "Password"}}}}, nil
		})
}

func (a *api) setup(ctx context.Context, in *setupInput) (*setupOutput, error) {
	v := visitOf(ctx)
	if err := a.keepable(v); err != nil {
		return nil, err
	}
	r, err := a.Services.Identity.Setup(ctx, caller(ctx), identity.Attempt{Login: in.Body.Username, Password: in.Body.Password, From: v.from})
	if err != nil {
		return nil, err
	}
	return &setupOutput{
		SetCookie: a.sessionCookie(r), Location: "/api/v1/users/" + r.UserID.String(), Body: ViewUser(r.Current.User),
	}, nil
}

func (a *api) login(ctx context.Context, in *loginInput) (*cookieOutput, error) {
	v := visitOf(ctx)
	if err := a.keepable(v); err != nil {
		return nil, err
	}
	b := in.Body
	if (b.Username == "") == (b.Email == "") {
		return nil, invalid("body.username", "either this or email, not both")
	}
	r, err := a.Services.Identity.SignIn(ctx, identity.Attempt{
		Login: b.Username + b.Email, Password: b.Password, From: v.from, Replaces: v.token,
	})
	if err = signedIn(ctx, r, err); err != nil {
		return nil, err
	}
	return &cookieOutput{a.sessionCookie(r)}, nil
}

func (a *api) refresh(ctx context.Context, _ *struct{}) (*cookieOutput, error) {
	v := visitOf(ctx)
	token, current, ok, err := a.Services.Identity.Refresh(ctx, v.token, v.from)
	if err == nil && !ok {
		err = identity.Ended()
	}
	if err != nil {
		return nil, err
	}
	return &cookieOutput{a.sessionCookie(identity.Result{Token: token, Current: current})}, nil
}

func (a *api) sessionCookie(r identity.Result) string {
	return a.cookie(r.Token, r.Current.Session.ExpiresAt.Sub(a.Now()).Round(time.Second))
}

// keepable tells whoever would sign in over plain HTTP that the browser would
// not keep a Secure cookie: it would seem as if the password were wrong.
func (a *api) keepable(v visit) error {
	if !a.CookieSecure || v.overTLS {
		return nil
	}
	return fault.New(fault.Forbidden, "COOKIE_SECURE is on and this came over plain HTTP: the browser would not keep the session").
		WithCode("COOKIE_NEEDS_HTTPS")
}

// signedIn notes an attempt in the request's line, and is the problem of one
// that was not accepted. Neither names what was typed in: people type passwords
// into the wrong field.
func signedIn(ctx context.Context, r identity.Result, err error) error {
	if err != nil {
		r.Outcome = identity.Undecided
	}
	line := web.LineOf(ctx)
	line.Add(slog.String("sign_in", r.Outcome.String()))
	if !r.UserID.IsZero() {
		line.Add(slog.String("user_id", r.UserID.String()))
	}
	switch {
	case err != nil:
		return err
	case r.Outcome == identity.Accepted:
		return nil
	case r.Outcome == identity.Throttled:
		return fault.New(fault.TooMany, "too many attempts at this account, or from this network").WithRetryAfter(r.RetryAfter)
	}
	return fault.New(fault.Unauthorized, "the username or the password is wrong").WithCode("WRONG_CREDENTIALS")
}
