package doors

import (
	"context"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

// auth is POST /v1/auth.
type auth struct {
	judge              Judge
	prefixes           func() apikey.Prefixes
	missing, malformed prometheus.Counter
}

// ServeHTTP judges the key of the body and answers 200 or a problem.
func (a *auth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, p := web.ReadBody(w, r)
	if p != nil {
		web.WriteProblem(w, r, p)
		return
	}
	in, p := readAuthRequest(body)
	if p != nil {
		web.WriteProblem(w, r, p)
		return
	}
	onBehalf, p := a.onBehalf(w, r)
	if p != nil {
		web.WriteProblem(w, r, p)
		return
	}
	in.about(r, onBehalf)
	verdict := a.judgeOne(r.Context(), in)
	line := web.LineOf(r.Context())
	line.KeyID, line.Code = verdict.Record.Key.ID, verdict.Code.String()
	if verdict.Code == apikey.Valid {
		writeValid(w, web.RequestID(r.Context()), &verdict.Record)
		return
	}
	refuse(w, r, &refusal{verdict: &verdict, request: &in.asked, onBehalf: onBehalf})
}

// judgeOne judges the key of one request.
func (a *auth) judgeOne(ctx context.Context, in *authRequest) apikey.Verdict {
	verdict, ok := a.shape(in.AuthKey, &in.asked)
	if ok {
		verdict = a.judge.Validate(ctx, &in.asked)
	}
	return verdict
}

// about says which client the key came from: the one that a caller on behalf of
// others names, else whoever is connected.
func (in *authRequest) about(r *http.Request, onBehalf bool) {
	req := &in.asked
	if onBehalf {
		req.IP, req.Method, req.Path = in.address, in.Method, in.Path
	} else {
		req.IP = web.ClientAddr(r)
	}
	req.Freshness = freshness(r, onBehalf)
}

// shape judges what can be judged without a look-up, and puts the fingerprint
// into the request. ok is false where that was enough for a refusal. A key of
// another kind is left to the judge, which finds that it does not exist here.
func (a *auth) shape(credential string, req *apikey.Request) (verdict apikey.Verdict, ok bool) {
	if credential == "" {
		a.missing.Inc()
		return apikey.Verdict{Code: apikey.MissingCredential}, false
	}
	token, ok := a.prefixes().Parse(credential)
	if !ok {
		a.malformed.Inc()
		return apikey.Verdict{Code: apikey.Malformed}, false
	}
	req.Fingerprint = token.Fingerprint
	return apikey.Verdict{}, true
}

// freshness reads Cache-Control: no-cache. Only a caller on behalf of others
// may ask for a look-up each time; for anyone else that would be a way to spend
// the database, so once a second must do.
func freshness(r *http.Request, onBehalf bool) apikey.Freshness {
	for _, header := range r.Header["Cache-Control"] {
		for directive := range strings.SplitSeq(header, ",") {
			if !strings.EqualFold(strings.TrimSpace(directive), "no-cache") {
				continue
			}
			if onBehalf {
				return apikey.Now
			}
			return apikey.Recent
		}
	}
	return apikey.Cached
}
