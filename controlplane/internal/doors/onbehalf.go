package doors

import (
	"net/http"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/caller"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/problem"
)

// onBehalf reports whether the caller may speak for another client: its
// Authorization header holds a good management key with auth:on-behalf. Without
// the header it may not, which is no fault; a header that is there must be good,
// or a mistaken service would be judged by its own address without noticing.
func (a *auth) onBehalf(w http.ResponseWriter, r *http.Request) (bool, *web.Problem) {
	token, state := web.BearerToken(r)
	switch state {
	case web.BearerMissing:
		return false, nil
	case web.BearerRepeated:
		return false, web.NewProblem(web.CodeMalformed).At("header.Authorization", "want it once")
	case web.BearerMalformed:
		return false, badCaller(w, "The Authorization header is not Bearer with a management key.")
	}
	parsed, ok := a.prefixes().Parse(token)
	if !ok || parsed.Kind != apikey.KindManagement {
		return false, badCaller(w, "The credential in the Authorization header is not a management key.")
	}
	verdict := caller.Gate{Judge: a.judge, Prefixes: a.prefixes}.Verdict(r, parsed)
	if verdict.Code != apikey.Valid {
		return false, refusedCaller(w, &verdict)
	}
	who := access.CallerOf(&verdict.Record)
	web.LineOf(r.Context()).Caller = string(who.Actor.Kind) + ":" + who.Actor.ID
	if err := who.Require(access.OnBehalf); err != nil {
		w.Header().Set("Www-Authenticate", web.Challenge+`, error="insufficient_scope", scope="`+string(access.OnBehalf)+`"`)
		return false, web.ProblemOf(err)
	}
	return true, nil
}

// refusedCaller tells why the management key did not do. Its code is never a
// verdict's, which would read as one about the key in the body.
func refusedCaller(w http.ResponseWriter, v *apikey.Verdict) *web.Problem {
	switch v.Code.Status() {
	case http.StatusUnauthorized:
		return badCaller(w, "The management key in the Authorization header is not good: %s.", v.Code)
	case http.StatusForbidden:
		return web.NewProblem(web.Code(fault.CodeForbidden)).Say("The management key in the Authorization header may not be used here: %s.", v.Code)
	}
	w.Header().Set("Retry-After", problem.RetryAfter(v.RetryAfter))
	return web.NewProblem(web.Code(fault.CodeUnavailable)).Say("The management key in the Authorization header could not be judged now.")
}

func badCaller(w http.ResponseWriter, format string, args ...any) *web.Problem {
	w.Header().Set("Www-Authenticate", web.Challenge+`, error="invalid_token"`)
	return web.NewProblem(web.Code(fault.CodeUnauthorized)).Say(format, args...).
		Advise("Send Authorization: Bearer with a management key that has auth:on-behalf, or no such header.")
}
