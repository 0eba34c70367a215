package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
)

type sessionView struct {
	ID          string    `json:"id" example:"ses_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	UserID      string    `json:"user_id" example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Current     bool      `json:"current" doc:"It is the session of this request."`
	Address     *string   `json:"address" nullable:"true" example:"203.0.113.9" doc:"The client's, at the last sign-in or refresh."`
	UserAgent   string    `json:"user_agent" example:"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" doc:"What the browser called itself then."`
	CreatedAt   time.Time `json:"created_at"`
	RefreshedAt time.Time `json:"refreshed_at"`
	ExpiresAt   time.Time `json:"expires_at" doc:"When it ends unless it is refreshed."`
	EndsAt      time.Time `json:"ends_at" doc:"When it ends in any case."`
}

// viewSession returns the view for the session of a request.
func viewSession(ctx context.Context) func(identity.Session) sessionView {
	own := visitOf(ctx).current
	return func(s identity.Session) sessionView {
		return sessionView{
			ID: s.ID.String(), UserID: s.UserID.String(), Current: own != nil && own.Session.ID == s.ID,
			Address: orNull(s.Address), UserAgent: s.UserAgent,
			CreatedAt: s.CreatedAt, RefreshedAt: s.RefreshedAt, ExpiresAt: s.ExpiresAt, EndsAt: s.EndsAt,
		}
	}
}

func sessionPage(ctx context.Context, in PageInput, read func(identity.Filter) ([]identity.Session, error)) (*listOutput[sessionView], error) {
	last, err := after[id.SessionKind](in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := read(identity.Filter{After: last, Limit: in.Limit + 1})
	if err != nil {
		return nil, err
	}
	return pageOf(in, all, viewSession(ctx), func(s identity.Session) string { return s.ID.String() }), nil
}

type listSessionsInput struct {
	PageInput
	UserID string `query:"user_id" maxLength:"200" doc:"Only this user's."`
}

type setPasswordInput struct {
	ID   string `path:"id"`
	Body struct {
		Password string `json:"password" minLength:"8" maxLength:"1024" format:"password" example:"correct horse battery staple"`
	}
}

func (a *api) registerSessions() {
	huma.Register(a.huma, operation(http.MethodGet, "/api/v1/sessions", "Users", "list-sessions", "List who is signed in", access.UsersRead), a.listSessions)
	huma.Register(a.huma, operation(http.MethodDelete, "/api/v1/sessions/{id}", "Users", "end-session", "End a session", access.UsersWrite),
		func(ctx context.Context, in *idInput) (*struct{}, error) {
			session, err := pathID[id.SessionKind](in.ID)
			if err != nil {
				return nil, err
			}
			return nil, a.Services.Identity.End(ctx, caller(ctx), session)
		})
	huma.Register(a.huma, operation(http.MethodDelete, "/api/v1/users/{id}/sessions", "Users", "end-user-sessions", "End all sessions of a user", access.UsersWrite),
		func(ctx context.Context, in *idInput) (*struct{}, error) {
			user, err := pathID[id.UserKind](in.ID)
			if err != nil {
				return nil, err
			}
			_, err = a.Services.Users.EndSessions(ctx, caller(ctx), user)
			return nil, err
		})
	setting := operation(http.MethodPost, "/api/v1/users/{id}/password", "Users", "set-user-password", "Give a user a password", access.UsersWrite)
	setting.DefaultStatus = http.StatusNoContent
	setting.Description += " Ends the user's sessions. One's own password is changed at /api/v1/me/password."
	huma.Register(a.huma, setting, func(ctx context.Context, in *setPasswordInput) (*struct{}, error) {
		user, err := pathID[id.UserKind](in.ID)
		if err != nil {
			return nil, err
		}
		return nil, a.Services.Identity.SetPassword(ctx, caller(ctx), user, in.Body.Password)
	})
}

func (a *api) listSessions(ctx context.Context, in *listSessionsInput) (*listOutput[sessionView], error) {
	var f fault.Fields
	user := optionalID[id.UserKind](&f, "query.user_id", in.UserID)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return sessionPage(ctx, in.PageInput, func(narrow identity.Filter) ([]identity.Session, error) {
		narrow.User = user
		return a.Services.Identity.List(ctx, caller(ctx), narrow)
	})
}
