package api

import (
	"errors"
	"net/http"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	gate "github.com/latchkey/latchkey/controlplane/internal/caller"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Guard is the credential check of the API, for operations of other adapters that
// only its callers may use.
func Guard(c Config) func(http.Handler) http.Handler {
	return (&api{Config: c, crossOrigin: crossOriginOf(c.PublicURL)}).authenticate
}

// authenticate lets a request through with its Caller in the context. Who
// shows nothing, or nothing good, gets 401 before the body is read.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := a.visitor(r)
		c, err := a.callerOf(r, &v)
		if err != nil {
			web.WriteProblem(w, r, web.ProblemOf(err))
			return
		}
		if v.current != nil { // nothing of it stays in the browser after the session
			w.Header().Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, gate.With(withVisit(r, v), c))
	})
}

// callerOf admits management keys, in the set-up window its token, and without
// a Bearer credential whom withoutBearer admits.
func (a *api) callerOf(r *http.Request, v *visit) (access.Caller, error) {
	g := gate.Gate{Judge: a.Judge, Prefixes: a.Prefixes}
	token, err := g.Read(r)
	switch {
	case errors.Is(err, gate.ErrNone):
		return a.withoutBearer(r, v)
	case err != nil:
		return access.Caller{}, err
	case token.Kind == apikey.KindSetup:
		return a.Setup.Admit(r.Context(), token.Fingerprint)
	}
	return g.Of(r, token)
}
