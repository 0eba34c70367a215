package doors

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/records"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

const explainPath = "/v1/auth/explain"

// Explainer explains decisions.
type Explainer interface {
	// Explain judges a request by its fingerprint and leaves nothing behind.
	Explain(ctx context.Context, caller access.Caller, r *apikey.Request) (records.Explanation, error)
}

// ExplainAnswer is the body of a 200 of POST /v1/auth/explain.
type ExplainAnswer struct {
	Valid        bool              `json:"valid" doc:"Whether POST /v1/auth would admit." example:"false"`
	Code         string            `json:"code" doc:"What it would answer: the code of the first check that failed, or VALID." example:"PATH_NOT_ALLOWED"`
	RequestID    string            `json:"request_id" doc:"The id of this request, also in X-Request-Id." example:"TQ4ZCNY3IWCJRLWZ5UGR7XQY2S"`
	Key          *ExplainKey       `json:"key,omitempty" doc:"The key, where there is one, of whatever kind."`
	User         *AuthUser         `json:"user,omitempty" doc:"Who holds it."`
	Subscription *AuthSubscription `json:"subscription,omitempty" doc:"The subscription that it is under, where it has one."`
	Checks       []ExplainCheck    `json:"checks" doc:"Every check, in the order in which they are made."`
}

// ExplainKey is what is told of a key that may be of another kind than doors
// admit.
type ExplainKey struct {
	AuthKey
	Environment *string `json:"environment" nullable:"true" doc:"live or test; null of a management key, which no door admits." example:"live"`
}

func explainKey(k *apikey.Key) *ExplainKey {
	v := &ExplainKey{AuthKey: *viewKey(k)}
	if k.Environment != apikey.AnyEnvironment {
		v.Environment = &v.AuthKey.Environment
	}
	return v
}

// ExplainCheck is one check.
type ExplainCheck struct {
	Code   string         `json:"code" doc:"What is answered where this is the first that fails." example:"PATH_NOT_ALLOWED"`
	Result string         `json:"result" enum:"passed,failed,unknown" doc:"unknown: there is no key to judge." example:"failed"`
	Source string         `json:"source" enum:"credential,key,user,subscription,plan" doc:"Where the rule comes from." example:"key"`
	Rule   map[string]any `json:"rule,omitempty" doc:"What applies." example:"{\"allow_paths\":[\"/reports\"]}"`
	Input  map[string]any `json:"input,omitempty" doc:"What it was compared with; never the key." example:"{\"path\":\"/orders/7\"}"`
}

// explain is POST /v1/auth/explain: the same body as POST /v1/auth, from a caller
// who may read keys and is believed in everything.
type explain struct {
	*auth
	explainer Explainer
}

// ServeHTTP explains what would be answered.
func (e *explain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller := web.CallerOf(r.Context())
	if err := caller.Require(access.KeysRead); err != nil {
		web.WriteProblem(w, r, web.ProblemOf(err))
		return
	}
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
	in.about(r, true)
	answer, err := e.explain(r.Context(), caller, in)
	if err != nil {
		web.WriteProblem(w, r, web.ProblemOf(err))
		return
	}
	encoded, err := json.Marshal(answer)
	if err != nil {
		web.WriteProblem(w, r, web.ProblemOf(err))
		return
	}
	line := web.LineOf(r.Context())
	line.Code = answer.Code
	if answer.Key != nil {
		line.KeyID = answer.Key.ID
	}
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = jsonType, noStore
	_, _ = w.Write(encoded) // the client may be gone
}

func (e *explain) explain(ctx context.Context, caller access.Caller, in *authRequest) (ExplainAnswer, error) {
	verdict, ok := e.shape(in.AuthKey, &in.asked)
	if !ok {
		return explained(ctx, verdict.Code, nil), nil
	}
	x, err := e.explainer.Explain(ctx, caller, &in.asked)
	if err != nil {
		return ExplainAnswer{}, err
	}
	answer := explained(ctx, x.Code, x.Checks)
	if r := &x.Record; r.Key.ID != "" {
		answer.Key, answer.User, answer.Subscription = explainKey(&r.Key), viewUser(&r.User), viewSubscription(&r.Subscription, x.At)
	}
	return answer, nil
}

// shapely are the checks that need no key.
var shapely = []apikey.Code{apikey.MissingCredential, apikey.Malformed}

// explained lists the checks of the credential's shape, then those of the key.
// Where there is no key, those are named all the same.
func explained(ctx context.Context, code apikey.Code, made []records.Check) ExplainAnswer {
	a := ExplainAnswer{Valid: code == apikey.Valid, Code: code.String(), RequestID: web.RequestID(ctx)}
	failed := slices.Index(shapely, code)
	for i, c := range shapely {
		check := ExplainCheck{Code: c.String(), Result: "passed", Source: "credential"}
		switch {
		case i == failed:
			check.Result = "failed"
		case failed >= 0 && i > failed:
			check.Result = "unknown"
		}
		a.Checks = append(a.Checks, check)
	}
	if len(made) == 0 {
		for _, c := range apikey.Explain(0, &apikey.Record{}, &apikey.Request{}) {
			check := ExplainCheck{Code: c.Code.String(), Result: "unknown", Source: "key"}
			if c.Code == code {
				check.Result = "failed" // there is no such key
			}
			a.Checks = append(a.Checks, check)
		}
	}
	for _, c := range made {
		check := ExplainCheck{Code: c.Code.String(), Result: "passed", Source: string(c.Source), Rule: c.Rule, Input: c.Input}
		if c.Failed {
			check.Result = "failed"
		}
		a.Checks = append(a.Checks, check)
	}
	return a
}
