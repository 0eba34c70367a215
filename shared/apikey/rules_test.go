package apikey

import (
	"net/netip"
	"strings"
	"testing"
)

func TestPathMatches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pattern, path string
		want          bool
	}{
		"itself":                       {"/reports", "/reports", true},
		"a slash behind it":            {"/reports", "/reports/", true},
		"a slash behind the pattern":   {"/reports/", "/reports", true},
		"below":                        {"/reports", "/reports/7/lines", true},
		"a longer name":                {"/reports", "/reports2", false},
		"above":                        {"/reports/7", "/reports", false},
		"another":                      {"/reports", "/users", false},
		"case counts":                  {"/reports", "/Reports", false},
		"a star is one segment":        {"/users/*/keys", "/users/7/keys/1", true},
		"within one it is a star":      {"/files/*.pdf", "/files/*.pdf", true},
		"and nothing else":             {"/files/*.pdf", "/files/a.pdf", false},
		"a star is not none":           {"/users/*/keys", "/users/keys", false},
		"a star is not two":            {"/users/*/keys", "/users/7/8/keys", false},
		"a star is not an empty one":   {"/users/*", "/users/", false},
		"a star within a name is text": {"/a*", "/ab", false},
		"the root is everything":       {"/", "/anything/at/all", true},
		"the root itself":              {"/", "/", true},
		"one segment of any name":      {"/*", "/", false},
	} {
		if got := PathMatches(c.pattern, c.path); got != c.want {
			t.Errorf("%s: %q on %q: %v", name, c.pattern, c.path, got)
		}
	}
}

func TestPathsThatHideAnother(t *testing.T) {
	t.Parallel()
	k := Key{AllowPaths: NewStrings("/reports")}
	for _, path := range []string{
		"", "reports", "*", "http://host/reports", "//reports", "/reports//x",
		"/reports/..", "/reports/../users", "/./reports", "/reports/.", "/../reports",
		"/reports/..;/users", "/reports/..;a=1/users", "/reports/.;/x", "/reports/;/users", "/;/reports",
		"/reports/%2e%2e/users", "/reports/%2E./users", "/reports/.%2e/users", "/reports%2fx", "/reports/%2F..",
		"/reports/%5c..", "/reports\\..\\users", "/reports/%00", "/reports/\x00", "/reports/%252e%252e/users",
		"/reports/..%3b/users", "/reports/%3B", "/reports/%c0%ae%c0%ae/users", "/reports/%C1%9c",
		"/reports/.\t./users", "/reports/%09", "/reports/a b", "/reports/%20", "/reports/%7f", "/reports/\x7f",
		"/reports/%", "/reports/%2", "/reports/%zz", "/reports/%+1", "/reports?x=1", "/reports#x",
	} {
		if k.pathAllowed(&Request{Path: path}) {
			t.Errorf("%q is allowed", path)
		}
	}
	for _, path := range []string{
		"/reports", "/reports/7", "/reports/", "/reports/...", "/reports/.hidden", "/reports/a..b", "/reports/x;v=1",
		"/reports/%C3%A4", "/reports/ä", "/reports/%41", "/reports/a%40b", "/reports/~+$&,=:@!'()*",
	} {
		if !k.pathAllowed(&Request{Path: path}) {
			t.Errorf("%q is not allowed", path)
		}
	}
	if !(&Key{}).pathAllowed(&Request{Path: "/reports/../users"}) {
		t.Error("a key without a path rule minds the path")
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	k := Key{AllowMethods: NewStrings("GET", "HEAD")}
	for method, want := range map[string]bool{"GET": true, "HEAD": true, "get": false, "POST": false, "": false, "GE": false, "GETX": false} {
		if k.methodAllowed(&Request{Method: method}) != want {
			t.Errorf("%q: %v", method, !want)
		}
	}
	if !(&Key{}).methodAllowed(&Request{}) {
		t.Error("a key without a rule minds the method")
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		allow, deny, ip string
		want            bool
	}{
		"no rule":                            {"", "", "192.0.2.1", true},
		"no rule, no address":                {"", "", "", true},
		"a rule, no address":                 {"10.0.0.0/8", "", "", false},
		"only a deny rule, no address":       {"", "10.0.0.0/8", "", false},
		"inside":                             {"10.0.0.0/8", "", "10.9.9.9", true},
		"outside":                            {"10.0.0.0/8", "", "11.0.0.0", false},
		"in the second":                      {"10.0.0.0/8 192.0.2.0/24", "", "192.0.2.255", true},
		"bits that are no whole byte":        {"10.0.0.0/12", "", "10.15.255.255", true},
		"one past bits that are no byte":     {"10.0.0.0/12", "", "10.16.0.0", false},
		"one address":                        {"192.0.2.7/32", "", "192.0.2.7", true},
		"not that address":                   {"192.0.2.7/32", "", "192.0.2.6", false},
		"host bits in the network are cut":   {"10.1.2.3/8", "", "10.9.9.9", true},
		"everything of IPv4":                 {"0.0.0.0/0", "", "203.0.113.1", true},
		"everything of IPv4 is not of IPv6":  {"0.0.0.0/0", "", "2001:db8::1", false},
		"everything of IPv6 is not of IPv4":  {"::/0", "", "203.0.113.1", false},
		"everything of IPv6, a mapped one":   {"::/0", "", "::ffff:203.0.113.1", false},
		"everything of IPv6":                 {"::/0", "", "2001:db8::1", true},
		"an IPv4 network, mapped address":    {"10.0.0.0/8", "", "::ffff:10.0.0.1", true},
		"a mapped network, IPv4 address":     {"::ffff:10.0.0.0/104", "", "10.0.0.1", true},
		"a deny network, mapped address":     {"", "10.0.0.0/8", "::ffff:10.0.0.1", false},
		"IPv6 inside":                        {"2001:db8::/32", "", "2001:db8:ffff::1", true},
		"IPv6 with a zone":                   {"fe80::/10", "", "fe80::1%eth0", true},
		"IPv6, one address":                  {"2001:db8::1/128", "", "2001:db8::2", false},
		"denied":                             {"", "10.0.0.0/8", "10.0.0.1", false},
		"not denied":                         {"", "10.0.0.0/8", "11.0.0.1", true},
		"denied wins":                        {"10.0.0.0/8", "10.1.0.0/16", "10.1.0.1", false},
		"allowed beside what is denied":      {"10.0.0.0/8", "10.1.0.0/16", "10.2.0.1", true},
		"neither allowed nor denied":         {"10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", false},
		"denied everything, allowed nothing": {"", "0.0.0.0/0", "192.0.2.1", false},
	} {
		k := Key{AllowCIDRs: networks(t, c.allow), DenyCIDRs: networks(t, c.deny)}
		ip, _ := netip.ParseAddr(c.ip)
		if got := k.ipAllowed(&Request{IP: ip}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func networks(t *testing.T, list string) CIDRs {
	t.Helper()
	all := []netip.Prefix{}
	for _, text := range strings.Fields(list) {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return NewCIDRs(all...)
}

// A pattern that is accepted is one that a path can match.
func TestCheckPattern(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		"/": true, "/reports": true, "/reports/": true, "/users/*/keys": true, "/*": true, "/a;v=1": true, "/caf%C3%A9": true,
		"": false, "*": false, "reports": false, "/files/*.pdf": false, "/**": false, "/a*": false,
		"/a//b": false, "/a/./b": false, "/a/../b": false, "/..;/x": false, "/a%2fb": false, "/a%20b": false, "/a b": false, "/a?b": false, "/a#b": false, "/%": false,
	} {
		if got := CheckPattern(pattern); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
		if path := strings.ReplaceAll(pattern, "*", "x"); want && !PathMatches(pattern, path) {
			t.Errorf("%q does not match %q", pattern, path)
		}
	}
}
