package doors

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/shared/apikey"
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := func(d time.Duration) apikey.Instant { return apikey.InstantOf(now.Add(d)) }
	invalid, bare := `Bearer realm="latchkey", error="invalid_token"`, `Bearer realm="latchkey"`
	tests := map[string]struct {
		change    func(*apikey.Record)
		body      string // %s is the key
		code      string
		status    int
		challenge string
	}{
		"good":            {nil, `{"auth_key":%q}`, "VALID", 200, ""},
		"good with scope": {nil, `{"auth_key":%q,"scopes":["reports:read"],"scopes_any":["x","reports:write"]}`, "VALID", 200, ""},
		"revoked":         {func(r *apikey.Record) { r.Key.RevokedAt = at(-1) }, `{"auth_key":%q}`, "REVOKED", 401, invalid},
		"retired":         {func(r *apikey.Record) { r.Key.RetiresAt = at(-time.Second) }, `{"auth_key":%q}`, "RETIRED", 401, invalid},
		"disabled":        {func(r *apikey.Record) { r.Key.Disabled = true }, `{"auth_key":%q}`, "DISABLED", 401, invalid},
		"not yet valid":   {func(r *apikey.Record) { r.Key.NotBefore = at(time.Hour) }, `{"auth_key":%q}`, "NOT_YET_VALID", 401, invalid},
		"expired":         {func(r *apikey.Record) { r.Key.ExpiresAt = at(-time.Second) }, `{"auth_key":%q}`, "EXPIRED", 401, invalid},
		"management key":  {func(r *apikey.Record) { r.Key.Kind = apikey.KindManagement }, `{"auth_key":%q}`, "KEY_NOT_FOUND", 401, invalid},
		"trial ended": {func(r *apikey.Record) {
			r.Subscription.Status, r.Subscription.TrialEndsAt = apikey.Trialing, at(-time.Second)
		}, `{"auth_key":%q}`, "TRIAL_ENDED", 401, invalid},
		"owner disabled": {func(r *apikey.Record) { r.User.Disabled = true }, `{"auth_key":%q}`, "OWNER_DISABLED", 403, ""},
		"plan paused":    {func(r *apikey.Record) { r.Subscription.Status = apikey.Paused }, `{"auth_key":%q}`, "PLAN_INACTIVE", 403, ""},
		"wrong scope": {nil, `{"auth_key":%q,"scopes":["reports:read","admin"]}`, "INSUFFICIENT_SCOPE", 403,
			`Bearer realm="latchkey", error="insufficient_scope", scope="reports:read admin"`},
		"none of the scopes": {nil, `{"auth_key":%q,"scopes_any":["a","b"]}`, "INSUFFICIENT_SCOPE", 403,
			`Bearer realm="latchkey", error="insufficient_scope", scope="a"`},
		"unknown check":  {func(r *apikey.Record) { r.Needs = apikey.NewStrings("later") }, `{"auth_key":%q}`, "UNDECIDED", 503, ""},
		"no key":         {nil, `{}`, "MISSING_CREDENTIAL", 401, bare},
		"empty key":      {nil, `{"auth_key":""}`, "MISSING_CREDENTIAL", 401, bare},
		"null key":       {nil, `{"auth_key":null}`, "MISSING_CREDENTIAL", 401, bare},
		"other key":      {nil, `{"auth_key":"` + exampleKey + `"}`, "KEY_NOT_FOUND", 401, invalid},
		"bad checksum":   {nil, `{"auth_key":"` + exampleKey[:45] + `S"}`, "MALFORMED", 401, invalid},
		"10,000 letters": {nil, `{"auth_key":"` + strings.Repeat("x", 10_000) + `"}`, "MALFORMED", 401, invalid},
		"not ASCII":      {nil, `{"auth_key":"lk_live_ä"}`, "MALFORMED", 401, invalid},
		"NUL":            {nil, `{"auth_key":"lk_live_\u0000"}`, "MALFORMED", 401, invalid},
		"SQL":            {nil, `{"auth_key":"' OR 1=1; --"}`, "MALFORMED", 401, invalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			secret := d.add(apikey.KindAPI, test.change)
			body := test.body
			if strings.Contains(body, "%q") {
				body = fmt.Sprintf(body, secret)
			}
			looked := d.source.asked.Load()
			got := d.post(t, body, nil)
			if got.status != test.status || got.body["code"] != test.code || got.header.Get("Www-Authenticate") != test.challenge {
				t.Errorf("%d %v %q", got.status, got.body, got.header.Get("Www-Authenticate"))
			}
			if got.header.Get("Cache-Control") != "no-store" || got.body["request_id"] != got.header.Get("X-Request-Id") {
				t.Errorf("headers: %v", got.header)
			}
			if (test.code == "MALFORMED" || test.code == "MISSING_CREDENTIAL") && d.source.asked.Load() != looked {
				t.Error("a shapeless credential caused a look-up")
			}
			if test.code == "UNDECIDED" && got.header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if known := test.status != 200 && strings.Contains(test.body, "%q") && test.code != "UNDECIDED" && test.code != "KEY_NOT_FOUND"; known && got.body["subscription"] == nil {
				t.Error("the refusal of a known key lacks its subscription")
			}
			d.neverRepeats(t, secret, got)
		})
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	end := time.Date(2031, 2, 3, 4, 5, 6, 789_000, time.UTC)
	tests := map[string]struct {
		change func(*apikey.Record)
		want   AuthAnswer
	}{
		"everything": {func(r *apikey.Record) {
			r.Key.Name, r.Key.Metadata = "a \"name\"\n<é>", `{"team":"x"}`
			r.Key.ExpiresAt, r.Subscription.PeriodEnd = apikey.InstantOf(end), apikey.InstantOf(end)
			r.User.ExternalID = "customer-7"
		}, AuthAnswer{
			Key:          AuthKey{Name: "a \"name\"\n<é>", ExpiresAt: &end, Metadata: map[string]any{"team": "x"}},
			User:         AuthUser{ExternalID: new("customer-7")},
			Subscription: &AuthSubscription{ID: "sub_1", Plan: "pro", Status: "active", PeriodEnd: &end},
		}},
		"retires before it expires": {func(r *apikey.Record) {
			r.Key.ExpiresAt, r.Key.RetiresAt = apikey.InstantOf(end.Add(time.Hour)), apikey.InstantOf(end)
			r.Subscription = apikey.Subscription{}
		}, AuthAnswer{Key: AuthKey{Name: "worker", ExpiresAt: &end, Metadata: map[string]any{}}}},
		"expires before it retires": {func(r *apikey.Record) {
			r.Key.ExpiresAt, r.Key.RetiresAt = apikey.InstantOf(end), apikey.InstantOf(end.Add(time.Hour))
			r.Subscription = apikey.Subscription{}
		}, AuthAnswer{Key: AuthKey{Name: "worker", ExpiresAt: &end, Metadata: map[string]any{}}}},
		"retires": {func(r *apikey.Record) {
			r.Key.RetiresAt, r.Subscription = apikey.InstantOf(end), apikey.Subscription{}
		}, AuthAnswer{Key: AuthKey{Name: "worker", ExpiresAt: &end, Metadata: map[string]any{}}}},
		"least": {func(r *apikey.Record) {
			r.Subscription = apikey.Subscription{}
		}, AuthAnswer{Key: AuthKey{Name: "worker", Metadata: map[string]any{}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			got := d.post(t, fmt.Sprintf(`{"auth_key":%q}`, d.add(apikey.KindAPI, test.change)), nil)
			want := test.want
			want.Valid, want.Code, want.RequestID = true, "VALID", got.header.Get("X-Request-Id")
			want.Key.ID, want.Key.Environment, want.Key.Scopes = "key_1", "live", []string{"reports:read", "reports:write"}
			want.User.ID = "usr_1"
			var answer AuthAnswer
			decoder := json.NewDecoder(strings.NewReader(got.text))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&answer); err != nil {
				t.Fatalf("%v: %s", err, got.text)
			}
			if diff := cmp.Diff(want, answer); diff != "" {
				t.Error(diff)
			}
			documented, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			var a, b any
			if json.Unmarshal(documented, &a) != nil || json.Unmarshal([]byte(got.text), &b) != nil || !cmp.Equal(a, b) {
				t.Errorf("the documented shape differs:\n%s\n%s", documented, got.text)
			}
		})
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body     string // %s is the key
		status   int
		location string
	}{
		"no JSON":            {`auth_key=%s`, 400, "body"},
		"cut short":          {`{"auth_key":"%s"`, 400, "body"},
		"trailing":           {`{"auth_key":"%s"} x`, 400, "body"},
		"duplicate":          {`{"auth_key":"%[1]s","auth_key":"%[1]s"}`, 400, "body.auth_key"},
		"unknown, then torn": {`{"x":1,"auth_key":"%s`, 400, "body.auth_key"},
		"unknown":            {`{"auth_key":"%s","rate_limit_usage":1}`, 422, "body.rate_limit_usage"},
		"unknown device":     {`{"auth_key":"%s","auth_device":"x"}`, 422, "body.auth_device"},
		"environment":        {`{"auth_key":"%s","environment":"live"}`, 422, "body.environment"},
		"key as a name":      {`{"%s":1}`, 422, "body.(a name of 46 bytes)"},
		"number as key":      {`{"auth_key":7}`, 422, "body.auth_key"},
		"key in a list":      {`{"auth_key":["%s"]}`, 422, "body.auth_key"},
		"list":               {`["%s"]`, 422, "body"},
		"one scope as text":  {`{"auth_key":"%s","scopes":"a"}`, 422, "body.scopes"},
		"bad scope":          {`{"auth_key":"%s","scopes":["a","B"]}`, 422, "body.scopes[1]"},
		"key as scope":       {`{"scopes_any":["%s"]}`, 422, "body.scopes_any[0]"},
		"NUL in a scope":     {`{"auth_key":"%s","scopes":["a\u0000"]}`, 422, "body.scopes[0]"},
		"65 scopes":          {`{"auth_key":"%s","scopes":["a"` + strings.Repeat(`,"a"`, 64) + `]}`, 422, "body.scopes"},
		"no address":         {`{"auth_key":"%[1]s","client_ip":"%[1]s"}`, 422, "body.client_ip"},
		"address with zone":  {`{"auth_key":"%s","client_ip":"fe80::1%%eth0"}`, 422, "body.client_ip"},
		"bad method":         {`{"auth_key":"%s","method":"G T"}`, 422, "body.method"},
		"bad path":           {`{"auth_key":"%s","path":"reports"}`, 422, "body.path"},
		"path with a query":  {`{"auth_key":"%s","path":"/a?b=c"}`, 422, "body.path"},
		"NUL in the path":    {`{"auth_key":"%s","path":"/\u0000"}`, 422, "body.path"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			secret := d.add(apikey.KindAPI, nil)
			body := test.body
			if strings.Contains(body, "%") {
				body = fmt.Sprintf(body, secret)
				body, _, _ = strings.Cut(body, "%!(EXTRA")
			}
			got := d.post(t, body, nil)
			if got.status != test.status || len(got.problem.Errors) == 0 || got.problem.Errors[0].Location != test.location {
				t.Errorf("%d %+v", got.status, got.problem)
			}
			d.neverRepeats(t, secret, got)
		})
	}
	t.Run("without a Content-Type", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		if got := d.post(t, `{}`, http.Header{"Content-Type": nil}); got.status != http.StatusUnsupportedMediaType {
			t.Errorf("status %d", got.status)
		}
	})
	t.Run("2 MiB", func(t *testing.T) {
		t.Parallel()
		d := open(t)
		if got := d.post(t, `{"auth_key":"`+strings.Repeat("x", 2<<20)+`"}`, nil); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", got.status)
		}
	})
}

// A refusal shows what the clock has made of the subscription, whatever the
// refusal is for.
func TestRefusalShowsTheSubscriptionOfThatMoment(t *testing.T) {
	t.Parallel()
	past, future := apikey.InstantOf(time.Now().Add(-time.Minute)), apikey.InstantOf(time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		sub          apikey.Subscription
		revoked      apikey.Instant
		code, status string
	}{
		"trial over":          {apikey.Subscription{Status: apikey.Trialing, TrialEndsAt: past}, 0, "TRIAL_ENDED", "trial_ended"},
		"trial over, revoked": {apikey.Subscription{Status: apikey.Trialing, TrialEndsAt: past}, past, "REVOKED", "trial_ended"},
		"trial, revoked":      {apikey.Subscription{Status: apikey.Trialing, TrialEndsAt: future}, past, "REVOKED", "trialing"},
		"canceled, over":      {apikey.Subscription{Status: apikey.Canceled, PeriodEnd: past}, 0, "PLAN_INACTIVE", "ended"},
		"paused":              {apikey.Subscription{Status: apikey.Paused}, 0, "PLAN_INACTIVE", "paused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			got := d.post(t, `{"auth_key":"`+d.add(apikey.KindAPI, func(r *apikey.Record) {
				c.sub.ID, c.sub.PlanID, c.sub.Plan = r.Subscription.ID, r.Subscription.PlanID, r.Subscription.Plan
				r.Subscription, r.Key.RevokedAt = c.sub, c.revoked
			})+`"}`, nil)
			shown, _ := got.body["subscription"].(map[string]any)
			if got.body["code"] != c.code || shown["status"] != c.status {
				t.Errorf("%v", got.body)
			}
		})
	}
}
