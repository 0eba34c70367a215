// Package api is the HTTP adapter of the admin API: one file per resource, each
// handler a parse, one service call and a view. huma keeps the OpenAPI document
// and the code the same thing.
//
//	mux ──authenticate──► GuardJSON ──► huma ──► handler ──► domain service
//	        │ management key through the validator, or the set-up window
//	        └ the Caller is in the context; the service decides what it may do
//
// Invariants: no rule lives here; every refusal is a problem of web's catalogue;
// nothing that a client sent is repeated in an answer; a secret is answered
// once, with no-store.
package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/limits"
	"github.com/latchkey/latchkey/controlplane/internal/overview"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/settings"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Services are the domains behind the API.
type Services struct {
	Keys          *keys.Service
	Users         *users.Service
	Limits        *limits.Service
	Plans         *plans.Service
	Subscriptions *subscriptions.Service
	Gateways      *gateways.Service
	Identity      *identity.Service
	Audit         *journal.Audit
	Overview      *overview.Service
	Settings      *settings.Service
}

// Judge decides on management keys; the validator does.
type Judge interface {
	Validate(ctx context.Context, r *apikey.Request) apikey.Verdict
}

// Setup admits whoever may make the first management key.
type Setup interface {
	Admit(ctx context.Context, token apikey.Fingerprint) (access.Caller, error)
	AdmitUnguarded(ctx context.Context) (access.Caller, bool, error)
}

// Config is what the API is made of.
type Config struct {
	Services Services
	Judge    Judge
	Setup    Setup
	// Prefixes are those of every key that was issued, as of now.
	Prefixes func() apikey.Prefixes
	Now      func() time.Time
	Version  string
	// PublicURL is where clients reach this installation; "" where links are
	// relative.
	PublicURL string
	// CookieSecure keeps the session cookie off plain HTTP.
	CookieSecure bool
}

// api holds what handlers use.
type api struct {
	Config
	huma        huma.API
	crossOrigin *http.CrossOriginProtection
}

// installProblems makes huma answer with our problems, and describe them in the
// document. Its hooks are variables of its package, so they are set once for the
// process.
var installProblems = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true  // "Name" is not "name", or a body could have a member twice
	huma.DefaultArrayNullable = false // no answer has null for a list
	huma.NewErrorWithContext = problemOf
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return problemOf(nil, status, message, errs...)
	}
})

// New registers every operation on the mux and returns the API, for others to
// add to its document.
func New(mux *http.ServeMux, c Config) huma.API {
	a := &api{Config: c, crossOrigin: crossOriginOf(c.PublicURL)}
	a.huma = humago.New(routes{mux: mux, guard: a.guardOf}, document(c))
	installProblems()
	a.huma.UseMiddleware(refuseStrayBody)
	a.registerAuth()
	a.registerMe()
	a.registerSessions()
	a.registerKeys()
	a.registerHolder()
	a.registerUsers()
	a.registerLimits()
	a.registerPlans()
	a.registerSubscriptions()
	a.registerGateways()
	a.registerAudit()
	a.registerOverview()
	a.registerSettings()
	a.describeRefusals()
	withNull(a.huma.OpenAPI().Components.Schemas.Map())
	mux.HandleFunc("GET /openapi.json", serveDocument(a.huma, "application/vnd.oai.openapi+json", (*huma.OpenAPI).MarshalJSON))
	mux.HandleFunc("GET /openapi.yaml", serveDocument(a.huma, "application/vnd.oai.openapi", (*huma.OpenAPI).YAML))
	return a.huma
}

// routes is the mux that huma registers on: every operation is behind the guard
// of its pattern, and behind that its body is checked.
type routes struct {
	mux   *http.ServeMux
	guard func(pattern string) func(http.Handler) http.Handler
}

// guardOf is the credential check, but for signing in, which is how one gets a
// credential. The set-up needs its token.
func (a *api) guardOf(pattern string) func(http.Handler) http.Handler {
	_, path, _ := strings.Cut(pattern, " ")
	switch {
	case strings.HasPrefix(path, authPath) && path != setupPath:
		return a.visited
	case ofHolder(path):
		return a.holder
	}
	return a.authenticate
}

func (m routes) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.mux.Handle(pattern, m.guard(pattern)(web.GuardParameters(web.GuardJSON(http.HandlerFunc(handler)))))
}

func (m routes) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// description opens the document.
const description = `Latchkey issues API keys and lets only good keys through.

Everything under ` + "`/api/v1`" + ` is for administrators and needs a management key: ` + "`Authorization: Bearer lkm_…`" + `; or the session of a signed-in user, whose role says what it may do.
Everybody who signed in may use ` + "`/api/v1/me`" + `. A browser's requests with a session must come from pages of this installation.
` + "`POST /v1/auth`" + ` is for the services that are called with keys: it answers whether a key is good.

Errors are problem details (RFC 9457). Their ` + "`code`" + ` is for programs and never changes; new codes may appear, so treat one that you do not know as its status. [Every code has a page](/docs/errors/) that says how to mend it. ` + "`title`, `detail`, `fix` and the messages in `errors`" + ` are in English or Spanish, as ` + "`Accept-Language`" + ` says.
Every answer has an ` + "`X-Request-Id`" + `, under which the server's log has the request.

Lists are pages of at most ` + "`limit`" + ` (50, up to 200), the newest first; keys can be had in other orders by ` + "`sort`" + `. For the next page send ` + "`next_cursor`" + ` as ` + "`cursor`" + `, with the same filters and order, until it is null. A cursor is opaque.

Nothing of a request is dropped: a parameter or member that there is not, or in another case, or given twice, and a parameter or condition that is empty, is refused by name with 422, or 400 where it stands in JSON twice.
A member that is null counts as one that is absent, but in a PATCH.
There a member that is null is cleared and one that is absent stays; ` + "`If-Match`" + ` with the ETag that was read makes it fail with 412 where somebody else was faster.
Ids carry their kind as a prefix. Times are RFC 3339 in UTC.`

func document(c Config) huma.Config {
	config := huma.DefaultConfig("Latchkey", c.Version)
	config.CreateHooks = nil // no $schema members, no Link headers
	config.DocsPath, config.OpenAPIPath, config.SchemasPath = "", "", ""
	config.RejectUnknownQueryParameters = true
	config.Formats = readable(config.Formats)
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	// Whatever is JSON of no shape of ours is an object: metadata, and what changed.
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[json.RawMessage](), reflect.TypeFor[map[string]any]())
	config.Info.Description = description
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	if c.PublicURL != "" {
		config.Servers = []*huma.Server{{URL: c.PublicURL}}
	}
	config.Tags = []*huma.Tag{
		{Name: "Public", Description: "For the services that are called with keys."},
		{Name: tagSignIn, Description: "Begin and end a session in a browser. Each leaves an event about the user in the audit log: `user.sign_in`, `user.refresh_session`, `user.sign_out`, `user.end_session`, `user.end_sessions`. An attempt that is refused leaves none."},
		{Name: "Me", Description: "The signed-in user, whatever the role."},
		{Name: "Keys", Description: "Issue, change and revoke keys: API keys, and the management keys of this API. The `kind` says which; `GET /api/v1/keys?kind=management` lists the latter, and whoever issues or changes one needs every scope that it holds."},
		{Name: "Users", Description: "The people and services that hold keys."},
		{Name: "Plans", Description: "Tiers: what keys under them may do."},
		{Name: "Limits", Description: "How much may be spent, as plans refer to it. Limits are kept as data: this version does not enforce them, and nothing is counted or refused by them."},
		{Name: "Subscriptions", Description: "Which user is on which plan."},
		{Name: "Gateways", Description: "The processes at the edge, and how far they follow."},
		{Name: "Overview", Description: "How much there is of everything, and where a word stands."},
		{Name: "Settings", Description: "The installation's policies. A change holds at once, at every replica."},
		{Name: "Audit", Description: "Who did what, to what, when and from where; chained, so that what was altered or removed is found."},
	}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		SecurityScheme: {
			Type: "http", Scheme: "bearer",
			Description: "A management key. The first one is made with the set-up token that `latchkey serve` prints, or by `latchkey keys issue --management`.",
		},
		SessionScheme: {
			Type: "apiKey", In: "cookie", Name: sessionCookie,
			Description: "The session of a signed-in user. The cookie's name begins with `__Host-` where COOKIE_SECURE is on.",
		},
	}
	return config
}

// schemaName names types for readers of the document: KeyView is Key,
// issueKeyInput's body is IssueKeyRequest.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for _, suffix := range []struct{ ours, theirs string }{{"InputBody", "Request"}, {"OutputBody", "Answer"}, {"View", ""}} {
		if base, found := strings.CutSuffix(name, suffix.ours); found {
			return base + suffix.theirs
		}
	}
	return name
}

func serveDocument(h huma.API, mediaType string, encode func(*huma.OpenAPI) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := encode(h.OpenAPI())
		if err != nil {
			web.WriteProblem(w, r, web.ProblemOf(err))
			return
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(b) // the client may be gone
	}
}
