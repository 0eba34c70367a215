package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	gate "github.com/latchkey/latchkey/controlplane/internal/caller"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/web"
)

// sessionCookie names the cookie of a session. With Secure it has the prefix
// __Host- (RFC 6265bis, section 4.1.3): no other host, a subdomain neither, can
// plant one.
const sessionCookie = "latchkey_session"

func (a *api) cookieName() string {
	if a.CookieSecure {
		return "__Host-" + sessionCookie
	}
	return sessionCookie
}

// cookie makes the Set-Cookie of a token that lives for so long; a lifetime of
// nothing removes it from the browser.
func (a *api) cookie(token identity.Token, lives time.Duration) string {
	c := http.Cookie{ //nolint:gosec // Secure is what COOKIE_SECURE says: off where there is no TLS
		Name: a.cookieName(), Value: token.Reveal(), Path: "/", MaxAge: int(lives / time.Second),
		HttpOnly: true, Secure: a.CookieSecure, SameSite: http.SameSiteLaxMode,
	}
	if lives <= 0 {
		c.MaxAge = -1
	}
	return c.String()
}

// visit is what a request tells of a browser and its session.
type visit struct {
	token   identity.Token
	shown   bool // there was a session cookie, good or not
	from    identity.Origin
	overTLS bool
	current *identity.Current // the live session that the request acts by
}

type visitKey struct{}

func visitOf(ctx context.Context) visit {
	v, _ := ctx.Value(visitKey{}).(visit)
	return v
}

func withVisit(r *http.Request, v visit) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
}

// visitor reads a request. Of several cookies none counts: one of them may be
// somebody else's.
func (a *api) visitor(r *http.Request) visit {
	v := visit{
		from:    identity.Origin{Address: web.ClientAddr(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context())},
		overTLS: web.OverTLS(r) || strings.HasPrefix(r.Header.Get("Origin"), "https://"),
	}
	cookies := r.CookiesNamed(a.cookieName())
	v.shown = len(cookies) > 0
	if len(cookies) == 1 {
		v.token, _ = identity.ParseToken(cookies[0].Value)
	}
	return v
}

// visited lets anybody through, but no request that another site's page made:
// that could sign a browser in to an account of the attacker's, or out.
func (a *api) visited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.crossOrigin.Check(r) != nil {
			web.WriteProblem(w, r, web.NewProblem(web.CodeCrossOrigin))
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, withVisit(r, a.visitor(r)))
	})
}

// crossOriginOf also trusts the pages of PUBLIC_URL, which a proxy may pass on
// under another Host.
func crossOriginOf(publicURL string) *http.CrossOriginProtection {
	p := http.NewCrossOriginProtection()
	if u, err := url.Parse(publicURL); err == nil && u.Host != "" {
		_ = p.AddTrustedOrigin(strings.ToLower(u.Scheme + "://" + u.Host)) // well-formed: it is made of its parts
	}
	return p
}

// withoutBearer admits whoever has a live session, or in the set-up window
// anybody where that is configured. A browser sends its cookie, and reaches a
// window that is open to all, also for the pages of others: those may only read.
func (a *api) withoutBearer(r *http.Request, v *visit) (access.Caller, error) {
	if a.crossOrigin.Check(r) != nil {
		return access.Caller{}, web.NewProblem(web.CodeCrossOrigin)
	}
	current, ok, err := a.Services.Identity.Authenticate(r.Context(), v.token)
	if err != nil {
		return access.Caller{}, err
	}
	if ok {
		v.current = &current
		return current.Caller(), nil
	}
	c, ok, err := a.Setup.AdmitUnguarded(r.Context())
	switch {
	case err != nil || ok:
		return c, err
	case v.shown:
		return c, identity.Ended()
	case r.URL.Path == mePath || strings.HasPrefix(r.URL.Path, mePath+"/"):
		return c, fault.New(fault.Unauthorized, "this is for a signed-in user").WithFix("sign in: POST /auth/v1/login/local")
	}
	return c, gate.Missing()
}
