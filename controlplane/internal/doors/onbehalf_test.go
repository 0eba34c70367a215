package doors

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/shared/apikey"
)

func TestOnBehalf(t *testing.T) {
	t.Parallel()
	onBehalf := func(r *apikey.Record) { r.Key.Scopes = apikey.NewStrings("auth:on-behalf") }
	ruled := func(r *apikey.Record) {
		r.Key.AllowCIDRs = apikey.NewCIDRs(netip.MustParsePrefix("203.0.113.0/24"))
		r.Key.AllowMethods, r.Key.AllowPaths = apikey.NewStrings("GET"), apikey.NewStrings("/reports")
	}
	const good = `"client_ip":"203.0.113.9","method":"GET","path":"/reports/7"`
	tests := map[string]struct {
		caller  func(*apikey.Record) // of the management key; nil: no header
		members string
		code    string
		status  int
		detail  string // a part of it
	}{
		"believed":             {onBehalf, good, "VALID", 200, ""},
		"all scopes":           {func(r *apikey.Record) { r.Key.Scopes = apikey.NewStrings("*") }, good, "VALID", 200, ""},
		"other address":        {onBehalf, strings.Replace(good, "203", "198", 1), "IP_NOT_ALLOWED", 403, "from this client address"},
		"other method":         {onBehalf, strings.Replace(good, "GET", "PUT", 1), "METHOD_NOT_ALLOWED", 403, "with this HTTP method"},
		"other path":           {onBehalf, strings.Replace(good, "/reports/7", "/reports2", 1), "PATH_NOT_ALLOWED", 403, "for this path"},
		"address not sent":     {onBehalf, `"method":"GET","path":"/reports"`, "IP_NOT_ALLOWED", 403, "client_ip was not sent"},
		"not believed":         {nil, good, "IP_NOT_ALLOWED", 403, "auth:on-behalf"},
		"scope lacking":        {func(r *apikey.Record) { r.Key.Scopes = apikey.NewStrings("keys:read") }, good, "FORBIDDEN", 403, "auth:on-behalf"},
		"caller revoked":       {func(r *apikey.Record) { onBehalf(r); r.Key.RevokedAt = 1 }, good, "UNAUTHENTICATED", 401, "REVOKED"},
		"caller's own rule":    {func(r *apikey.Record) { onBehalf(r); ruled(r) }, good, "FORBIDDEN", 403, "IP_NOT_ALLOWED"},
		"caller undecided":     {func(r *apikey.Record) { onBehalf(r); r.Needs = apikey.NewStrings("x") }, good, "UNAVAILABLE", 503, "could not be judged"},
		"caller is no manager": {func(r *apikey.Record) { onBehalf(r); r.Key.Kind = apikey.KindAPI }, good, "UNAUTHENTICATED", 401, "KEY_NOT_FOUND"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			secret, header := d.add(apikey.KindAPI, ruled), http.Header{}
			if test.caller != nil {
				header["Authorization"] = []string{"Bearer " + d.add(apikey.KindManagement, test.caller)}
			}
			got := d.post(t, fmt.Sprintf(`{"auth_key":%q,%s}`, secret, test.members), header)
			if got.body["code"] != test.code || got.status != test.status || !strings.Contains(got.problem.Detail, test.detail) {
				t.Errorf("%d %s", got.status, got.text)
			}
			d.neverRepeats(t, secret, got)
			if test.caller != nil {
				d.neverRepeats(t, header.Get("Authorization"), got)
			}
		})
	}
}

func TestBadAuthorization(t *testing.T) {
	t.Parallel()
	d := open(t)
	secret := d.add(apikey.KindAPI, nil)
	manager := d.add(apikey.KindManagement, func(r *apikey.Record) { r.Key.Scopes = apikey.NewStrings("*") })
	tests := map[string]struct {
		headers []string
		status  int
	}{
		"an API key":   {[]string{"Bearer " + secret}, 401},
		"not Bearer":   {[]string{"Basic eDp5"}, 401},
		"no token":     {[]string{"Bearer"}, 401},
		"wrong letter": {[]string{"Bearer " + manager[:len(manager)-1] + "-"}, 401},
		"twice":        {[]string{"Bearer " + manager, "Bearer " + manager}, 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := d.post(t, fmt.Sprintf(`{"auth_key":%q}`, secret), http.Header{"Authorization": test.headers})
			if got.status != test.status || (test.status == 401) != strings.Contains(got.header.Get("Www-Authenticate"), "invalid_token") {
				t.Errorf("%d %s %v", got.status, got.text, got.header)
			}
			d.neverRepeats(t, manager, got)
		})
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	d := open(t)
	secret := d.add(apikey.KindAPI, nil)
	manager := d.add(apikey.KindManagement, func(r *apikey.Record) { r.Key.Scopes = apikey.NewStrings("auth:on-behalf") })
	body := fmt.Sprintf(`{"auth_key":%q}`, secret)
	noCache := []string{"max-age=0, No-Cache"}
	header := http.Header{"Cache-Control": noCache, "Authorization": {"Bearer " + manager}}
	d.post(t, body, header) // both records are cached now
	before := d.source.asked.Load()
	for range 3 {
		d.post(t, body, header)
	}
	if n := d.source.asked.Load() - before; n != 3 {
		t.Errorf("on behalf, 3 requests without a cache made %d look-ups", n)
	}
	before = d.source.asked.Load()
	for range 3 {
		d.post(t, body, http.Header{"Cache-Control": noCache})
	}
	if n := d.source.asked.Load() - before; n > 1 {
		t.Errorf("anyone's 3 requests within a second made %d look-ups", n)
	}
}

func TestSourceAway(t *testing.T) {
	t.Parallel()
	d := open(t)
	known, unknown := d.add(apikey.KindAPI, nil), d.add(apikey.KindAPI, nil)
	d.post(t, fmt.Sprintf(`{"auth_key":%q}`, known), nil)
	d.source.down.Store(true)
	if got := d.post(t, fmt.Sprintf(`{"auth_key":%q}`, known), nil); got.status != http.StatusOK {
		t.Errorf("a cached key: %d", got.status)
	}
	got := d.post(t, fmt.Sprintf(`{"auth_key":%q}`, unknown), nil)
	if got.status != http.StatusServiceUnavailable || got.body["code"] != "UNDECIDED" || got.header.Get("Retry-After") == "" {
		t.Errorf("an unknown key: %d %s", got.status, got.text)
	}
}

func TestShapelessCredentialsAreCounted(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, body := range []string{`{}`, `{"auth_key":"x"}`, `{"auth_key":"y"}`} {
		d.post(t, body, nil)
	}
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "latchkey_door_shapeless_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if got["MISSING_CREDENTIAL"] != 1 || got["MALFORMED"] != 2 {
		t.Errorf("counted %v", got)
	}
}

// What a door says about an occurrence it also says in Spanish.
func TestDetailsInSpanish(t *testing.T) {
	t.Parallel()
	d := open(t)
	ip := d.add(apikey.KindAPI, func(r *apikey.Record) { r.Key.AllowCIDRs = apikey.NewCIDRs(netip.MustParsePrefix("203.0.113.0/24")) })
	method := d.add(apikey.KindAPI, func(r *apikey.Record) { r.Key.AllowMethods = apikey.NewStrings("GET") })
	path := d.add(apikey.KindAPI, func(r *apikey.Record) { r.Key.AllowPaths = apikey.NewStrings("/reports") })
	caller := "Bearer " + d.add(apikey.KindManagement, func(r *apikey.Record) { r.Key.Scopes = apikey.NewStrings("auth:on-behalf") })
	for name, test := range map[string]struct{ key, more, authorization, says string }{
		"address":              {ip, "", "", "client_ip solo se cree"},
		"address not sent":     {ip, "", caller, "no se envió client_ip"},
		"method":               {method, "", "", "method solo se cree"},
		"path":                 {path, "", "", "path solo se cree"},
		"scope":                {path, `,"path":"/reports","scopes":["x"]`, caller, "carece del ámbito x."},
		"other scheme":         {ip, "", "Basic x", "no es Bearer"},
		"no management key":    {ip, "", "Bearer " + ip, "no es una clave de gestión"},
		"bad management key":   {ip, "", "Bearer " + d.add(apikey.KindManagement, func(r *apikey.Record) { r.Key.RevokedAt = 1 }), "no es válida: REVOKED"},
		"caller may not":       {ip, "", "Bearer " + d.add(apikey.KindManagement, func(r *apikey.Record) { r.User.Disabled = true }), "no se puede usar aquí: OWNER_DISABLED"},
		"caller not decided":   {ip, "", "Bearer " + d.add(apikey.KindManagement, func(r *apikey.Record) { r.Needs = apikey.NewStrings("x") }), "no se pudo juzgar"},
		"caller lacks a scope": {ip, "", "Bearer " + d.add(apikey.KindManagement, nil), "carece del ámbito auth:on-behalf"},
	} {
		header := http.Header{"Accept-Language": {"es"}}
		if test.authorization != "" {
			header["Authorization"] = []string{test.authorization}
		}
		got := d.post(t, fmt.Sprintf(`{"auth_key":%q%s}`, test.key, test.more), header)
		if !strings.Contains(got.problem.Detail, test.says) || strings.Contains(got.problem.Detail, " (") || got.header.Get("Content-Language") != "es" {
			t.Errorf("%s: %s", name, got.text)
		}
	}
}
