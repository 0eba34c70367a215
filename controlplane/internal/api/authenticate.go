package api

import (
	"context"
	"net/http"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

// authenticate lets a request through with its Caller in the context. Who
// shows nothing, or nothing good, gets 401 before the body is read.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := a.callerOf(r)
		if err != nil {
			web.WriteProblem(w, r, web.ProblemOf(err))
			return
		}
		caller.RequestID = web.RequestID(r.Context())
		if addr := web.ClientAddr(r); addr.IsValid() {
			caller.Address = addr.String()
		}
		next.ServeHTTP(w, r.WithContext(web.WithCaller(r.Context(), caller)))
	})
}

func (a *api) callerOf(r *http.Request) (access.Caller, error) {
	credential, state := web.BearerToken(r)
	switch state {
	case web.BearerMissing:
		caller, ok, err := a.Setup.AdmitUnguarded(r.Context())
		if err == nil && !ok {
			err = fault.New(fault.Unauthorized, "this needs a management key").
				WithFix("send Authorization: Bearer and a management key")
		}
		return caller, err
	case web.BearerMalformed, web.BearerRepeated:
		return access.Caller{}, fault.New(fault.Unauthorized, "the Authorization header is not one Bearer credential").
			WithFix("send Authorization: Bearer and a management key, once")
	}
	token, ok := a.Prefixes().Parse(credential)
	switch {
	case !ok:
		return access.Caller{}, refusal(apikey.Malformed)
	case token.Kind == apikey.KindSetup:
		return a.Setup.Admit(r.Context(), token.Fingerprint)
	}
	return a.judge(r.Context(), apikey.Request{
		Fingerprint: token.Fingerprint, Kind: apikey.KindManagement,
		IP: web.ClientAddr(r), Method: r.Method, Path: r.URL.EscapedPath(),
	})
}

// judge asks the validator, as the doors do for their keys.
func (a *api) judge(ctx context.Context, req apikey.Request) (access.Caller, error) {
	verdict := a.Judge.Validate(ctx, &req)
	if verdict.Code != apikey.Valid {
		return access.Caller{}, refusal(verdict.Code)
	}
	return access.CallerOf(&verdict.Record), nil
}

// refusal is the problem of a management key that was not admitted.
func refusal(code apikey.Code) error { return web.NewProblem(web.Code(code.String())) }
