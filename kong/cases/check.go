package cases

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/problem"
)

// Check compares what became of the request with what should.
func (c *Case) Check(t testing.TB, out *kongtest.Outcome) {
	t.Helper()
	if out.Err != nil || out.Replays != 0 {
		t.Errorf("Kong's own fault: %v, %d replays", out.Err, out.Replays)
	}
	for _, k := range c.Keys {
		if !out.Allowed && strings.Contains(string(out.Body), k.Text[len(k.Text)-20:]) {
			t.Errorf("the answer repeats the key")
		}
	}
	switch {
	case out.Allowed && slices.Contains(c.Want.Codes, apikey.Valid):
		c.checkUpstream(t, out)
	case out.Allowed:
		t.Errorf("let through, want %v", c.Want.Codes)
	case c.Want.Codes == nil:
		c.checkProblem(t, out)
	default:
		c.checkRefusal(t, out)
	}
}

// checkUpstream wants the caller's identity, what is left of the client's own
// headers, and nothing else; and of the answer that it tells the client when to
// rotate its key, where that is due some day.
func (c *Case) checkUpstream(t testing.TB, out *kongtest.Outcome) {
	t.Helper()
	want := append(identity(c.Want.Caller), c.Want.Left...)
	if diff := cmp.Diff(Normal(want), Normal(out.Upstream)); diff != "" {
		t.Errorf("the upstream's headers: %s", diff)
	}
	if out.Query != c.Want.Query {
		t.Errorf("the upstream's query: %q, want %q", out.Query, c.Want.Query)
	}
	told := kongtest.Headers{}
	if r := c.Want.Caller; r != nil && r.Key.RotateBy != 0 {
		told = headers(apikey.RotateByHeader, r.Key.RotateBy.Time().Format(time.RFC3339))
	}
	if diff := cmp.Diff(Normal(told), Normal(out.Headers)); diff != "" {
		t.Errorf("the answer's headers: %s", diff)
	}
}

// Normal is a form in which headers compare: no writer of headers keeps the
// order of names or their case, and space around a value is no part of it.
func Normal(h kongtest.Headers) kongtest.Headers {
	out := kongtest.Headers{}
	for _, e := range h {
		out = append(out, kongtest.Header{Name: strings.ToLower(e.Name), Value: strings.TrimSpace(e.Value)})
	}
	slices.SortStableFunc(out, func(a, b kongtest.Header) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// checkRefusal wants the problem, the status and the headers of POST /v1/auth.
func (c *Case) checkRefusal(t testing.TB, out *kongtest.Outcome) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(out.Body, &got); err != nil {
		t.Fatalf("status %d, %v: %s", out.Status, err, out.Body)
	}
	i := slices.IndexFunc(c.Want.Codes, func(code apikey.Code) bool { return code.String() == got["code"] })
	if i < 0 {
		t.Fatalf("refused with %v, want %v: %s", got["code"], c.Want.Codes, out.Body)
	}
	verdict := apikey.Verdict{Code: c.Want.Codes[i], MissingScope: c.Want.MissingScope}
	if out.Status != verdict.Code.Status() {
		t.Errorf("status %d, want %d", out.Status, verdict.Code.Status())
	}
	if diff := cmp.Diff(problemOf(t, &verdict, c.Want.Caller), got); diff != "" {
		t.Errorf("the body: %s", diff)
	}
	want := refusalHeaders(out)
	scopes, _ := c.Policy["scopes"].([]string)
	if challenge := problem.Challenge(realm(c.Policy), &verdict, &apikey.Request{Scopes: scopes}); challenge != "" {
		want = append(want, headers("WWW-Authenticate", challenge)...)
	}
	if out.Status == http.StatusServiceUnavailable {
		want = append(want, headers("Retry-After", "1")...)
	}
	if diff := cmp.Diff(Normal(want), Normal(out.Headers)); diff != "" {
		t.Errorf("the headers: %s", diff)
	}
}

func realm(p Policy) string {
	if own, ok := p["realm"].(string); ok {
		return own
	}
	return "latchkey"
}

// refusalHeaders are those of every answer of the plugin.
func refusalHeaders(out *kongtest.Outcome) kongtest.Headers {
	return headers("Content-Type", problem.MediaType, "Cache-Control", "no-store", "Content-Length", strconv.Itoa(len(out.Body)))
}

// problemOf is the body of a refusal. A caller whose key is known is told of the
// subscription.
func problemOf(t testing.TB, v *apikey.Verdict, caller *apikey.Record) (body map[string]any) {
	t.Helper()
	entry := problem.Of(v.Code)
	want := map[string]any{
		"type": problem.Type(v.Code.String()), "title": entry.Title, "status": v.Code.Status(),
		"detail": problem.Detail(v), "code": v.Code.String(), "fix": entry.Fix,
	}
	if caller != nil && caller.Subscription.ID != "" {
		s := &caller.Subscription
		want["subscription"] = map[string]any{
			"id": s.ID, "plan": s.Plan, "status": s.Standing(apikey.InstantOf(time.Now())), "trial_ends_at": s.TrialEndsAt, "period_end": s.PeriodEnd,
		}
	}
	b, err := json.Marshal(want)
	if err == nil {
		err = json.Unmarshal(b, &body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// checkProblem wants an answer that is no verdict.
func (c *Case) checkProblem(t testing.TB, out *kongtest.Outcome) {
	t.Helper()
	code, status := c.Want.Problem, http.StatusBadRequest
	if code == "" {
		code, status = "INTERNAL", http.StatusInternalServerError
	}
	var body struct {
		Type, Title, Detail, Code, Fix string
		Status                         int
	}
	if err := json.Unmarshal(out.Body, &body); err != nil || out.Status != status || body.Status != status || body.Code != code ||
		body.Type != problem.Type(code) || body.Title == "" || body.Detail == "" || body.Fix == "" {
		t.Errorf("%v, status %d: %s; want %d, %s", err, out.Status, out.Body, status, code)
	}
	if diff := cmp.Diff(Normal(refusalHeaders(out)), Normal(out.Headers)); diff != "" {
		t.Errorf("the headers: %s", diff)
	}
}
