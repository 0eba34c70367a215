package main_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/apikey/vectors"
	"github.com/latchkey/latchkey/shared/problem"
)

// The plugin answers every decision that all doors share, with the problem, the
// status and the headers of POST /v1/auth.
func TestDecisions(t *testing.T) {
	t.Parallel()
	all, err := vectors.All()
	if err != nil {
		t.Fatal(err)
	}
	k, c := start(t)
	seen := map[apikey.Code]bool{}
	for _, v := range all {
		if v.Request.Kind != apikey.KindAPI || v.Code == apikey.MethodNotAllowed && v.Request.Method == "" {
			continue // a management key is for another door, and a gateway knows the method
		}
		seen[v.Code] = true
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			out := access(t, k.Route(policyOf(&v)), c.requestOf(&v))
			if out.Err != nil || out.Replays != 0 {
				t.Fatalf("%+v", out)
			}
			if v.Code == apikey.Valid {
				if !out.Allowed || out.Upstream.Get("X-Credential-Identifier") != v.Record.Key.ID {
					t.Errorf("not admitted: %+v", out)
				}
				return
			}
			if out.Allowed || out.Status != v.Status {
				t.Fatalf("status %d, want %d: %s", out.Status, v.Status, out.Body)
			}
			wantRefusal(t, &v, &out)
		})
	}
	for _, code := range apikey.Codes() {
		if !seen[code] {
			t.Errorf("%v was not asked for", code)
		}
	}
}

func policyOf(v *vectors.Vector) map[string]any {
	return map[string]any{
		"scopes": v.Request.Scopes, "scopes_any": v.Request.AnyScopes,
		"environment": v.Request.Environment.String(), "strict_credentials": v.Also != "",
	}
}

// requestOf makes the vector's key known, under a secret of its own where many
// vectors share one, and returns a request with it.
func (c *controlPlane) requestOf(v *vectors.Vector) kongtest.Request {
	credential := v.Credential
	if token, ok := vectors.Prefixes.Parse(credential); ok {
		secret := apikey.NewSecret("lk", token.Kind, token.Environment)
		credential = secret.Reveal()
		if v.Found {
			record := moved(v.Record, v.Now)
			c.mu.Lock()
			c.records[secret.Fingerprint()] = record
			c.mu.Unlock()
		}
	}
	req := kongtest.Request{Method: v.Request.Method, Path: v.Request.Path, ClientIP: "unix:"}
	if v.Request.IP.IsValid() {
		req.ClientIP = v.Request.IP.String()
	}
	if credential != "" {
		req.Headers = h("X-API-Key", credential)
	}
	if v.Also != "" {
		req.Headers = append(req.Headers, h("Authorization", "Bearer "+v.Also)...)
	}
	return req
}

// moved brings a record's times from the vector's now to the real one; what lies
// ahead of it stays well ahead.
func moved(r apikey.Record, now time.Time) apikey.Record {
	r.Change = 1
	ahead := apikey.InstantOf(now)
	by := apikey.InstantOf(time.Now()) - ahead
	for _, i := range []*apikey.Instant{
		&r.Key.NotBefore, &r.Key.ExpiresAt, &r.Key.RetiresAt, &r.Key.RevokedAt, &r.Subscription.TrialEndsAt, &r.Subscription.PeriodEnd,
	} {
		if *i > ahead {
			*i += apikey.Instant(time.Hour / time.Microsecond)
		}
		if *i != 0 {
			*i += by
		}
	}
	return r
}

func wantRefusal(t *testing.T, v *vectors.Vector, out *kongtest.Outcome) {
	t.Helper()
	verdict := apikey.Verdict{Code: v.Code, MissingScope: v.MissingScope}
	entry := problem.Of(v.Code)
	want := map[string]any{
		"type": problem.Type(v.Code.String()), "title": entry.Title, "status": float64(v.Status),
		"detail": problem.Detail(&verdict), "code": v.Code.String(), "fix": entry.Fix,
	}
	var got map[string]any
	if err := json.Unmarshal(out.Body, &got); err != nil {
		t.Fatalf("%v: %s", err, out.Body)
	}
	s, told := got["subscription"].(map[string]any)
	shapeless := v.Code == apikey.MissingCredential || v.Code == apikey.AmbiguousCredential || v.Code == apikey.Malformed
	known := v.Found && !shapeless && v.Code != apikey.KeyNotFound && v.Record.Subscription.ID != ""
	if told != known || known && (s["id"] != v.Record.Subscription.ID || s["plan"] != v.Record.Subscription.Plan || s["status"] != v.Record.Subscription.Standing(apikey.InstantOf(v.Now))) {
		t.Errorf("subscription: %v", s)
	}
	delete(got, "subscription")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	headers := h("Content-Type", "application/problem+json", "Cache-Control", "no-store")
	if challenge := problem.Challenge("latchkey", &verdict, &v.Request); challenge != "" {
		headers = append(headers, h("WWW-Authenticate", challenge)...)
	}
	if v.Status == http.StatusServiceUnavailable {
		headers = append(headers, h("Retry-After", "1")...)
	}
	for _, want := range headers {
		if diff := cmp.Diff([]string{want.Value}, out.Headers.Values(want.Name)); diff != "" {
			t.Errorf("%s: %s", want.Name, diff)
		}
	}
	if len(out.Headers) != len(headers)+1 { // Kong's Content-Length
		t.Errorf("headers: %v", out.Headers)
	}
}
