package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	tests := map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                 {"203.0.113.9:1", nil, "203.0.113.9"},
		"claim without a proxy":    {"203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		"one proxy":                {"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		"forged left part":         {"10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":              {"10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1,10.0.0.2"}, "198.51.100.1"},
		"two headers":              {"10.0.0.1:1", []string{"1.2.3.4", "198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		"all trusted":              {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"proxy without a header":   {"10.0.0.1:1", nil, "10.0.0.1"},
		"with a port":              {"10.0.0.1:1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		"IPv6 with a port":         {"[2001:db8::1]:1", []string{"[2001:db9::1]:4711"}, "2001:db9::1"},
		"IPv6 in brackets":         {"10.0.0.1:1", []string{"[2001:db9::1]"}, "2001:db9::1"},
		"IPv4 as IPv6":             {"[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"no address":               {"10.0.0.1:1", []string{"unknown"}, "invalid IP"},
		"nothing after the comma":  {"10.0.0.1:1", []string{"198.51.100.1,"}, "invalid IP"},
		"Unix socket":              {"@", []string{"198.51.100.1"}, "invalid IP"},
		"no address, further left": {"10.0.0.1:1", []string{"unknown, 198.51.100.1"}, "198.51.100.1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = test.peer
			r.Header["X-Forwarded-For"] = test.forwarded
			if got, _ := clientOf(r, trusted); got.String() != test.want {
				t.Errorf("want %s, got %s", test.want, got)
			}
		})
	}
}

func TestBearerToken(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		headers []string
		token   string
		state   BearerState
	}{
		"none":              {nil, "", BearerMissing},
		"good":              {[]string{"Bearer lkm_abc"}, "lkm_abc", BearerPresent},
		"any case":          {[]string{"bEARER  a.b-c~d+e/f=="}, "a.b-c~d+e/f==", BearerPresent},
		"two":               {[]string{"Bearer a", "Bearer a"}, "", BearerRepeated},
		"other scheme":      {[]string{"Basic YTpi"}, "", BearerMalformed},
		"no token":          {[]string{"Bearer "}, "", BearerMalformed},
		"scheme only":       {[]string{"Bearer"}, "", BearerMalformed},
		"empty":             {[]string{""}, "", BearerMalformed},
		"two tokens":        {[]string{"Bearer a b"}, "", BearerMalformed},
		"comma":             {[]string{"Bearer a,Bearer b"}, "", BearerMalformed},
		"not ASCII":         {[]string{"Bearer ä"}, "", BearerMalformed},
		"only padding":      {[]string{"Bearer =="}, "", BearerMalformed},
		"padding in middle": {[]string{"Bearer a=b"}, "", BearerMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["Authorization"] = test.headers
			if token, state := BearerToken(r); token != test.token || state != test.state {
				t.Errorf("got %q, %d", token, state)
			}
		})
	}
}
