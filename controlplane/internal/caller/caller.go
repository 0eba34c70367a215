// Package caller finds out who calls: it turns the management key in a request's
// Authorization header into an access.Caller, in one way for all HTTP adapters.
//
//	Authorization: Bearer ──Read──► token ──Judge──► validator ──► access.Caller
//
// Invariant: a Caller comes only from a verdict Valid of this request's own key;
// what was sent is never repeated. The adapters api and edgeapi call it; what a
// request without a good key means is theirs to say.
package caller

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Judge decides on management keys; the validator does.
type Judge interface {
	Validate(ctx context.Context, r *apikey.Request) apikey.Verdict
}

// Gate reads and judges the credentials of requests. It is safe for concurrent
// use.
type Gate struct {
	Judge Judge
	// Prefixes are those of every key that was issued, as of now.
	Prefixes func() apikey.Prefixes
}

// ErrNone is returned by Read for a request without an Authorization header.
var ErrNone = errors.New("caller: no credential")

// Read returns the token of a request's Bearer credential, of whatever kind. It
// was not judged. The error is ErrNone, or a problem for the client.
func (g Gate) Read(r *http.Request) (apikey.Token, error) {
	credential, state := web.BearerToken(r)
	switch state {
	case web.BearerMissing:
		return apikey.Token{}, ErrNone
	case web.BearerMalformed, web.BearerRepeated:
		return apikey.Token{}, fault.New(fault.Unauthorized, "the Authorization header is not one Bearer credential").
			WithFix("send Authorization: Bearer and a management key, once")
	}
	token, ok := g.Prefixes().Parse(credential)
	if !ok {
		return apikey.Token{}, Refusal(apikey.Malformed)
	}
	return token, nil
}

// Verdict judges a token as the management key of a request.
func (g Gate) Verdict(r *http.Request, token apikey.Token) apikey.Verdict {
	return g.Judge.Validate(r.Context(), &apikey.Request{
		Fingerprint: token.Fingerprint, Kind: apikey.KindManagement,
		IP: web.ClientAddr(r), Method: r.Method, Path: r.URL.EscapedPath(),
	})
}

// Of returns the caller that a token stands for in a request. The error is the
// problem of a management key that is not good.
func (g Gate) Of(r *http.Request, token apikey.Token) (access.Caller, error) {
	verdict := g.Verdict(r, token)
	if verdict.Code != apikey.Valid {
		return access.Caller{}, Refusal(verdict.Code)
	}
	return access.CallerOf(&verdict.Record), nil
}

// Missing is the problem of a request without a credential.
func Missing() error {
	return fault.New(fault.Unauthorized, "this needs a management key").
		WithFix("send Authorization: Bearer and a management key")
}

// Refusal is the problem of a credential that was not admitted.
func Refusal(code apikey.Code) error { return web.NewProblem(web.Code(code.String())) }

// With returns the request with its caller in the context, who is completed by
// what the journal keeps of a request.
func With(r *http.Request, c access.Caller) *http.Request {
	c.RequestID = web.RequestID(r.Context())
	if addr := web.ClientAddr(r); addr.IsValid() {
		c.Address = addr.String()
	}
	return r.WithContext(web.WithCaller(r.Context(), c))
}
