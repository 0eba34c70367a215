package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	gate "github.com/latchkey/latchkey/controlplane/internal/caller"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
	verdicts "github.com/latchkey/latchkey/shared/problem"
)

const (
	// selfPath is where a key is its own credential.
	selfPath = "/v1/keys/self"
	// holderScheme names the document's scheme for API keys.
	holderScheme = "apiKey"
)

// holder lets a request through whose Bearer credential is a good API key, with
// its holder as the Caller.
func (a *api) holder(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := apikey.Request{Kind: apikey.KindAPI, IP: web.ClientAddr(r), Unmetered: true} // a look at the key is no use of it
		verdict := a.judgeHolder(r, &request)
		line := web.LineOf(r.Context())
		line.KeyID, line.Code = verdict.Record.Key.ID, verdict.Code.String()
		if verdict.Code == apikey.Valid {
			next.ServeHTTP(w, gate.With(r, access.HolderOf(&verdict.Record)))
			return
		}
		if challenge := verdicts.Challenge(web.Realm, &verdict, &request); challenge != "" {
			w.Header().Set("Www-Authenticate", challenge)
		}
		if verdict.Code == apikey.Undecided {
			w.Header().Set("Retry-After", verdicts.RetryAfter(verdict.RetryAfter))
		}
		web.WriteProblem(w, r, web.NewProblem(web.Code(verdict.Code.String())))
	})
}

// judgeHolder judges the key by everything but its rules about methods and
// paths: those are about the services behind the doors, not about the key's own
// address. They are the last that can refuse here, for no scope is asked for.
func (a *api) judgeHolder(r *http.Request, request *apikey.Request) apikey.Verdict {
	credential, state := web.BearerToken(r)
	switch state {
	case web.BearerMissing:
		return apikey.Verdict{Code: apikey.MissingCredential}
	case web.BearerRepeated:
		return apikey.Verdict{Code: apikey.AmbiguousCredential}
	case web.BearerMalformed:
		return apikey.Verdict{Code: apikey.Malformed}
	}
	token, ok := a.Prefixes().Parse(credential)
	if !ok {
		return apikey.Verdict{Code: apikey.Malformed}
	}
	request.Fingerprint = token.Fingerprint
	verdict := a.Judge.Validate(r.Context(), request)
	if verdict.Code == apikey.MethodNotAllowed || verdict.Code == apikey.PathNotAllowed {
		verdict.Code = apikey.Valid
	}
	return verdict
}

type revokeSelfInput struct{ Body *revocation }

func (a *api) registerHolder() {
	a.huma.OpenAPI().Components.SecuritySchemes[holderScheme] = &huma.SecurityScheme{
		Type: "http", Scheme: "bearer", Description: "An API key, for what its holder may do with it.",
	}
	whoami := holding(http.MethodGet, "", "get-own-key", "Look at one's own key", "What is known of the key that is the credential.")
	huma.Register(a.huma, whoami, func(ctx context.Context, _ *struct{}) (*resource[KeyView], error) {
		return a.keyAnswer(a.Services.Keys.Self(ctx, caller(ctx)))
	})
	rotate := creating(holding(http.MethodPost, "/rotate", "rotate-own-key", "Rotate one's own key",
		"Only where `rotate_every_days` is set; else 409 `NOT_ROTATABLE`. The old secret stays good for `rotate_overlap_hours`; an expiry stays what it is."))
	huma.Register(a.huma, rotate, func(ctx context.Context, _ *struct{}) (*issuedOutput, error) {
		out, err := a.issuedAnswer(a.Services.Keys.RotateSelf(ctx, caller(ctx)))
		if err == nil {
			out.Location = selfPath // with the new secret
		}
		return out, err
	})
	revoke := holding(http.MethodPost, "/revoke", "revoke-own-key", "Revoke one's own key", "At once and everywhere, and with it what it was rotated into, unless `only` is true.")
	huma.Register(a.huma, revoke, func(ctx context.Context, in *revokeSelfInput) (*resource[KeyView], error) {
		return a.keyAnswer(a.Services.Keys.RevokeSelf(ctx, caller(ctx), in.Body.domain()))
	})
}

// holding describes an operation for which the key itself is the credential.
func holding(method, path, name, summary, description string) huma.Operation {
	op := operation(method, selfPath+path, "Public", name, summary, "")
	op.Description = description + " The key is judged first, by its own rules about addresses too; its rules about methods and paths do not count here."
	op.Security = []map[string][]string{{holderScheme: {}}}
	return op
}

// ofHolder reports whether a route is one for holders.
func ofHolder(path string) bool { return path == selfPath || strings.HasPrefix(path, selfPath+"/") }
