package apikey_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/apikey/vectors"
)

// first is the code of the first check that fails.
func first(checks []apikey.Check) apikey.Code {
	for _, c := range checks {
		if c.Failed {
			return c.Code
		}
	}
	return apikey.Valid
}

// Explain has a check for every code that a record can lead to, in the order of
// the codes.
func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	want := append([]apikey.Code{apikey.Undecided}, apikey.Codes()[apikey.KeyNotFound:apikey.Valid]...)
	got := apikey.Explain(1, &apikey.Record{}, &apikey.Request{})
	if len(got) != len(want) {
		t.Fatalf("%d checks for %d codes", len(got), len(want))
	}
	for i, c := range got {
		if c.Code != want[i] {
			t.Errorf("check %d is %v, want %v", i, c.Code, want[i])
		}
	}
	all, err := vectors.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if now := apikey.InstantOf(v.Now); v.Found && first(apikey.Explain(now, &v.Record, &v.Request)) != apikey.Decide(now, &v.Record, &v.Request) {
			t.Errorf("%s is explained otherwise", v.Name)
		}
	}
}

// Whatever the record and the request, Explain's first failure is Decide's answer.
func TestExplainAgreesWithDecide(t *testing.T) {
	t.Parallel()
	answers := map[apikey.Code]int{}
	property := func(t *rapid.T) {
		r, req := drawRecord(t), drawRequest(t)
		now := drawInstant(t, "now") + 1
		code := apikey.Decide(now, &r, &req)
		if got := first(apikey.Explain(now, &r, &req)); got != code {
			t.Fatalf("explained as %v, decided %v", got, code)
		}
		answers[code]++
	}
	for range 40 { // a hundred records each
		rapid.Check(t, property)
	}
	for _, c := range apikey.Explain(1, &apikey.Record{}, &apikey.Request{}) {
		if answers[c.Code] == 0 {
			t.Errorf("%v was never drawn: %v", c.Code, answers)
		}
	}
}

// rarely draws true once in so many times, so that late checks are reached.
func rarely(t *rapid.T, what string) bool { return rapid.IntRange(0, 9).Draw(t, what) == 0 }

func drawInstant(t *rapid.T, what string) apikey.Instant {
	return apikey.Instant(rapid.IntRange(0, 3).Draw(t, what))
}

func sometimes(t *rapid.T, what string) (i apikey.Instant) {
	if rarely(t, what) {
		i = drawInstant(t, what)
	}
	return i
}

func drawRecord(t *rapid.T) (r apikey.Record) {
	k := &r.Key
	if rarely(t, "needs") {
		r.Needs = apikey.NewStrings("later")
	}
	if rarely(t, "management") {
		k.Kind = apikey.KindManagement
	}
	k.RevokedAt, k.RetiresAt, k.NotBefore, k.ExpiresAt = sometimes(t, "revoked"), sometimes(t, "retires"), sometimes(t, "not before"), sometimes(t, "expires")
	k.Disabled, r.User.Disabled = rarely(t, "disabled"), rarely(t, "owner disabled")
	k.Environment = rapid.SampledFrom([]apikey.Environment{apikey.Live, apikey.Test}).Draw(t, "environment")
	if rapid.Bool().Draw(t, "on a plan") {
		r.Subscription = apikey.Subscription{
			ID: "sub_1", TrialEndsAt: drawInstant(t, "trial"), PeriodEnd: drawInstant(t, "period"),
			Status: apikey.SubscriptionStatus(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 3, 4, 9}).Draw(t, "status")),
		}
	}
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if rarely(t, "allowed networks") {
		k.AllowCIDRs = apikey.NewCIDRs(networks...)
	}
	if rarely(t, "denied networks") {
		k.DenyCIDRs = apikey.NewCIDRs(networks...)
	}
	if rarely(t, "methods") {
		k.AllowMethods = apikey.NewStrings("GET")
	}
	if rarely(t, "paths") {
		k.AllowPaths = apikey.NewStrings("/a")
	}
	k.Scopes = apikey.NewStrings(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b:*", "*"}), 0, 2).Draw(t, "scopes")...)
	return r
}

func drawRequest(t *rapid.T) apikey.Request {
	wanted := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b:c", "d"}), 0, 1)
	return apikey.Request{
		Kind:        apikey.KindAPI,
		Environment: rapid.SampledFrom([]apikey.Environment{apikey.AnyEnvironment, apikey.AnyEnvironment, apikey.Live}).Draw(t, "asked environment"),
		IP:          rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1")}).Draw(t, "address"),
		Method:      rapid.SampledFrom([]string{"", "GET", "PUT"}).Draw(t, "method"),
		Path:        rapid.SampledFrom([]string{"", "/a/b", "/b", "/a/../b"}).Draw(t, "path"),
		Scopes:      wanted.Draw(t, "all of"), AnyScopes: wanted.Draw(t, "one of"),
	}
}
