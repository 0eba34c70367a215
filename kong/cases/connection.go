package cases

import (
	"fmt"
	"strings"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// connections are clients that name headers in Connection (RFC 9110, section
// 7.6.1), which Kong takes away after every plugin, whoever has set them. None
// may take away what tells the upstream who it is: absence may mean something.
func connections() (all []Case) {
	key, bad := Issue(nil), Issue(revoked)
	keys := []Key{key, bad}
	add := func(name string, policy Policy, want Want, pairs ...string) {
		c := Case{Name: "Connection: " + name, Policy: policy, Request: sent(pairs...), Keys: keys, Want: want}
		if want.Problem != "" {
			c.Calls = calls(getHeaders, exit)
		}
		all = append(all, c)
	}
	for _, name := range Owned {
		for _, form := range Writings(name) {
			add(form, with(), stripping(), "X-API-Key", key.Text, "Connection", "close, "+form)
		}
	}
	for i, value := range []string{
		"X-Consumer-ID", "keep-alive,x-consumer-id", "X-CONSUMER-ID , close", "close,,   X-Consumer-ID", ",X-Consumer-ID,", "a, \tX-Consumer-ID",
		"X-Other, X-Consumer-ID, Latchkey-Environment", strings.Repeat("x-other,", 500) + "X_Consumer-Id",
	} {
		add(fmt.Sprintf("writing %d", i), with(), stripping(), "X-API-Key", key.Text, "CONNECTION", value)
	}
	add("a nobody would be taken for somebody", with("anonymous", true), stripping(), "Connection", "close, X-Anonymous-Consumer")
	add("strict", with("strict_credentials", true), stripping(), "X-API-Key", key.Text, "Connection", "Latchkey-Environment")
	add("repeated", with(), stripping(), "X-API-Key", key.Text, "Connection", "close", "Connection", "X-Consumer-ID")
	add("a bad key", with(), stripping(), "X-API-Key", bad.Text, "Connection", "X-Consumer-ID")
	add("no key", with(), stripping(), "Connection", "X-Consumer-ID")
	add("what is not the gateway's", with(), allowed(key, "X-Kept", "1", "x_other", "1"),
		"X-API-Key", key.Text, "Connection", "close, X-Other ,, x-api-key,X-Consumer", "X-Other", "1", "X-Kept", "1", "x_other", "1")
	for _, value := range []string{"close", "keep-alive", "Keep-Alive", "upgrade", "", ",", "X-Consumer-ID2", "X-Consumer"} {
		add(fmt.Sprintf("%q", value), with(), allowed(key), "X-API-Key", key.Text, "Connection", value)
	}
	return all
}

// stripped is what a plugin sets and the client's Connection takes away: what the
// cases above guard against.
func stripped() Probe {
	return Probe{
		Name:    "Connection takes away what a plugin has set",
		Request: sent("X-API-Key", "k1", "Connection", "close, X-Seen", "Accept", "*/*"),
		Want:    kongtest.Outcome{Allowed: true, Upstream: headers("Accept", "*/*")},
	}
}
