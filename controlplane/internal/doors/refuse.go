package doors

import (
	"context"
	"net/http"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/problem"
)

// refusal is a verdict that is not Valid, and what was asked.
type refusal struct {
	verdict  *apikey.Verdict
	request  *apikey.Request
	onBehalf bool
}

// AuthRefusal is the body of a refusal: a problem, and the subscription where
// the key is known.
type AuthRefusal struct {
	*web.Problem
	Subscription *AuthSubscription `json:"subscription,omitempty" doc:"The subscription behind the key, where the key is known and has one."`
}

// refuse answers with the verdict's code and status.
func refuse(w http.ResponseWriter, r *http.Request, f *refusal) {
	body := f.body(r.Context())
	if challenge := problem.Challenge(web.Realm, f.verdict, f.request); challenge != "" {
		w.Header().Set("Www-Authenticate", challenge)
	}
	if f.verdict.Code == apikey.Undecided {
		w.Header().Set("Retry-After", problem.RetryAfter(f.verdict.RetryAfter))
	}
	web.WriteProblemBody(w, body.Problem, body)
}

// body is what is told of a refusal.
func (f *refusal) body(ctx context.Context) AuthRefusal {
	p := web.NewProblem(web.Code(f.verdict.Code.String()))
	if f.verdict.MissingScope != "" {
		p = p.Say("The key lacks the scope %s.", f.verdict.MissingScope)
	} else if detail := f.detail(); detail != "" {
		p = p.Say("%s", detail)
	}
	p.Finish(ctx)
	return AuthRefusal{Problem: p, Subscription: viewSubscription(&f.verdict.Record.Subscription, f.verdict.At)}
}

// detail says more than the catalogue where more is known. It names what was
// asked for, never what the key is or holds.
func (f *refusal) detail() string {
	const believed = " is believed only from a caller whose management key has " + string(access.OnBehalf) + "."
	switch code := f.verdict.Code; {
	case code == apikey.IPNotAllowed && f.onBehalf && !f.request.IP.IsValid():
		return "The key has rules about the client's address, and client_ip was not sent."
	case code == apikey.IPNotAllowed && !f.onBehalf:
		return "The key may not be used from the address of this connection; client_ip" + believed
	case code == apikey.MethodNotAllowed && (!f.onBehalf || f.request.Method == ""):
		return "The key has rules about the HTTP method, and none is known; method" + believed
	case code == apikey.PathNotAllowed && (!f.onBehalf || f.request.Path == ""):
		return "The key has rules about the path, and none is known; path" + believed
	}
	return ""
}
