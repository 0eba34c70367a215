package main_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/cases"
	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// The first request that a key is admitted with in a minute costs one call more,
// for the address that it is used from, unless that was asked for anyway. What is
// refused costs none. (When a minute is over is shared/validator's to prove, by a
// clock that is moved.)
func TestFirstUseAsksForTheAddress(t *testing.T) {
	t.Parallel()
	const read, address, admit, refuse = "kong.request.get_headers", "kong.client.get_forwarded_ip", "kong.service.request.set_headers", "kong.response.exit"
	k, c := start(t)
	admitting, refusing := k.Route(t, cases.Scoped()), k.Route(t, cases.Policy{"scopes": []string{"admin"}})
	issue := func(id string, from ...netip.Prefix) string { // uses are told apart by the id
		return c.Issue(func(r *apikey.Record) {
			r.Key.ID, r.DependsOn, r.Key.AllowCIDRs = id, apikey.NewStrings(id), apikey.NewCIDRs(from...)
		})
	}
	two, three := []string{read, admit}, []string{read, address, admit}
	for name, tc := range map[string]struct {
		key     string
		refused []string // once its record is cached; nil: it is not refused before
		first   []string
		second  []string
	}{
		"free":                {issue("key_free"), []string{read, refuse}, three, two},
		"bound to a network":  {issue("key_bound", netip.MustParsePrefix("192.0.2.0/24")), []string{read, address, refuse}, three, three},
		"seen by its look-up": {issue("key_seen"), nil, three, two},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := kongtest.Request{Headers: h("X-API-Key", tc.key), ClientIP: "192.0.2.7"}
			if tc.refused != nil {
				access(t, refusing, req)
				if diff := cmp.Diff(tc.refused, access(t, refusing, req).Calls); diff != "" {
					t.Errorf("refused: %s", diff)
				}
			}
			if diff := cmp.Diff(tc.first, access(t, admitting, req).Calls); diff != "" {
				t.Errorf("admitted: %s", diff)
			}
			if diff := cmp.Diff(tc.second, access(t, admitting, req).Calls); diff != "" {
				t.Errorf("admitted again: %s", diff)
			}
		})
	}
}
