package apikey_test

import (
	"net/netip"
	"testing"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/apikey/vectors"
)

// answer is the smallest door: what each has to do with a credential.
func answer(v *vectors.Vector) (apikey.Code, string) {
	switch {
	case v.Credential == "":
		return apikey.MissingCredential, ""
	case v.Also != "":
		return apikey.AmbiguousCredential, ""
	}
	token, ok := vectors.Prefixes.Parse(v.Credential)
	switch {
	case !ok || token.Fingerprint != v.Request.Fingerprint:
		return apikey.Malformed, ""
	case !v.Found:
		return apikey.KeyNotFound, ""
	}
	code := apikey.Decide(apikey.InstantOf(v.Now), &v.Record, &v.Request)
	if code != apikey.InsufficientScope {
		return code, ""
	}
	return code, v.Record.MissingScope(&v.Request)
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	all, err := vectors.All()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[apikey.Code]int{}
	names := map[string]bool{}
	for _, v := range all {
		code, missing := answer(&v)
		if code != v.Code || missing != v.MissingScope || code.Status() != v.Status {
			t.Errorf("%s: got %v %q %d, want %v %q %d", v.Name, code, missing, code.Status(), v.Code, v.MissingScope, v.Status)
		}
		if names[v.Name] {
			t.Errorf("%s: twice", v.Name)
		}
		names[v.Name] = true
		rows[v.Code]++
	}
	for _, code := range apikey.Codes() {
		if rows[code] == 0 && code != apikey.AmbiguousCredential { // a vector presents one credential at most
			t.Errorf("%v has no row", code)
		}
	}
}

// TestDecodedRecordsDecideAlike: a decision of the decoded record is that
// of the record.
func TestDecodedRecordsDecideAlike(t *testing.T) {
	t.Parallel()
	all, err := vectors.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		b, err := v.Record.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		var decoded apikey.Record
		if err := apikey.DecodeRecord(b, &decoded); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if decoded != v.Record {
			t.Errorf("%s: got %+v", v.Name, decoded)
		}
		now := apikey.InstantOf(v.Now)
		if a, b := apikey.Decide(now, &v.Record, &v.Request), apikey.Decide(now, &decoded, &v.Request); a != b {
			t.Errorf("%s: %v, decoded %v", v.Name, a, b)
		}
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	for _, code := range apikey.Codes() {
		text, err := code.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back apikey.Code
		if err := back.UnmarshalText(text); err != nil || back != code {
			t.Errorf("%s: read back as %v, %v", text, back, err)
		}
		if (code == apikey.Valid) != (code.Status() == 200) {
			t.Errorf("%v answers %d", code, code.Status())
		}
	}
	for _, code := range []apikey.Code{apikey.Valid + 1, 255} {
		if code.Status() != 503 || code.String() != "UNDECIDED" {
			t.Errorf("a code that does not exist is %v %d", code, code.Status())
		}
	}
	if err := new(apikey.Code).UnmarshalText([]byte("FINE")); err == nil {
		t.Error("FINE is a code")
	}
	if (apikey.Verdict{}).Code != apikey.Undecided {
		t.Error("a zero verdict is a decision")
	}
}

func BenchmarkDecide(b *testing.B) {
	all, err := vectors.All()
	if err != nil {
		b.Fatal(err)
	}
	v := all[0]
	v.Request.Scopes = []string{"reports:read"}
	encoded, err := v.Record.AppendBinary(nil)
	if err != nil {
		b.Fatal(err)
	}
	now := apikey.InstantOf(v.Now)
	for name, f := range map[string]func(){
		"parse":  func() { vectors.Prefixes.Parse(v.Credential) },
		"decode": func() { _ = apikey.DecodeRecord(encoded, &v.Record) },
		"decide": func() { apikey.Decide(now, &v.Record, &v.Request) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

// client counts what it is asked for.
type client struct{ asked int }

func (c *client) IP() netip.Addr              { c.asked++; return netip.MustParseAddr("10.0.0.1") }
func (c *client) KnownIP() (netip.Addr, bool) { return netip.Addr{}, false }
func (c *client) Method() string              { c.asked++; return "GET" }
func (c *client) Path() string                { c.asked++; return "/reports/7" }

func TestAClientIsAskedOnlyForWhatARuleNeeds(t *testing.T) {
	t.Parallel()
	all := apikey.NewCIDRs(netip.MustParsePrefix("10.0.0.0/8"))
	for name, c := range map[string]struct {
		key   apikey.Key
		asked int
	}{
		"no rule":       {apikey.Key{}, 0},
		"an address":    {apikey.Key{AllowCIDRs: all}, 1},
		"a method":      {apikey.Key{AllowMethods: apikey.NewStrings("HEAD", "GET")}, 1},
		"a path":        {apikey.Key{AllowPaths: apikey.NewStrings("/users", "/reports")}, 1},
		"all of them":   {apikey.Key{AllowCIDRs: all, AllowMethods: apikey.NewStrings("GET"), AllowPaths: apikey.NewStrings("/")}, 3},
		"it is revoked": {apikey.Key{AllowCIDRs: all, RevokedAt: 1}, 0},
	} {
		who := &client{}
		code := apikey.Decide(2, &apikey.Record{Key: c.key}, &apikey.Request{Client: who})
		if who.asked != c.asked || (code == apikey.Valid) != (c.key.RevokedAt == 0) {
			t.Errorf("%s: %v, asked %d times, want %d", name, code, who.asked, c.asked)
		}
	}
}

// What a subscription is called and what it is judged by are one rule.
func TestStandingIsWhatIsJudged(t *testing.T) {
	t.Parallel()
	const now = apikey.Instant(1_000)
	lets := map[string]apikey.Code{
		"trialing": apikey.Valid, "active": apikey.Valid, "canceled": apikey.Valid,
		"trial_ended": apikey.TrialEnded, "paused": apikey.PlanInactive, "ended": apikey.PlanInactive,
	}
	seen := map[string]bool{}
	for status := apikey.Active; status <= apikey.Ended; status++ {
		for _, trial := range []apikey.Instant{0, now - 1, now, now + 1} {
			for _, period := range []apikey.Instant{0, now - 1, now, now + 1} {
				r := apikey.Record{
					Key:          apikey.Key{Kind: apikey.KindAPI},
					Subscription: apikey.Subscription{ID: "sub_1", Status: status, TrialEndsAt: trial, PeriodEnd: period},
				}
				standing := r.Subscription.Standing(now)
				seen[standing] = true
				if code := apikey.Decide(now, &r, &apikey.Request{Kind: apikey.KindAPI}); code != lets[standing] {
					t.Errorf("%v, trial %d, period %d: called %s, judged %s", status, trial, period, standing, code)
				}
			}
		}
	}
	if len(seen) != len(lets) {
		t.Errorf("only %v came up", seen)
	}
}
