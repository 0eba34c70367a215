package api

import (
	"errors"
	"net/http"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	gate "github.com/latchkey/latchkey/controlplane/internal/caller"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

// authenticate lets a request through with its Caller in the context. Who
// shows nothing, or nothing good, gets 401 before the body is read.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := a.callerOf(r)
		if err != nil {
			web.WriteProblem(w, r, web.ProblemOf(err))
			return
		}
		next.ServeHTTP(w, gate.With(r, c))
	})
}

// callerOf admits management keys, and in the set-up window its token, or
// anybody where that is configured.
func (a *api) callerOf(r *http.Request) (access.Caller, error) {
	g := gate.Gate{Judge: a.Judge, Prefixes: a.Prefixes}
	token, err := g.Read(r)
	switch {
	case errors.Is(err, gate.ErrNone):
		c, ok, err := a.Setup.AdmitUnguarded(r.Context())
		if err == nil && !ok {
			err = gate.Missing()
		}
		return c, err
	case err != nil:
		return access.Caller{}, err
	case token.Kind == apikey.KindSetup:
		return a.Setup.Admit(r.Context(), token.Fingerprint)
	}
	return g.Of(r, token)
}
