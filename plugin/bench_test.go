package main_test

import (
	"fmt"
	"testing"

	"github.com/latchkey/latchkey/kong/cases"
	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// BenchmarkAccess puts the same request through a plugin that makes the same
// calls and decides nothing (baseline) and through latchkey-auth (candidate).
// The harness's own share is in both.
//
//	go test -run '^$' -bench Access -benchtime 20000x ./plugin
func BenchmarkAccess(b *testing.B) {
	k, c := start(b)
	base := kongtest.Start(b, kongtest.Config{Binary: kongtest.Build(b, "./testdata/baseline", "latchkey-baseline")})
	route := k.Route(b, cases.Scoped())
	good := c.Issue(nil)
	revoked := c.Issue(func(r *apikey.Record) { r.Key.RevokedAt = 1 })

	for name, key := range map[string]string{"allowed": good, "refused": revoked} {
		req := kongtest.Request{Headers: h("Host", "api.example.com", "Accept", "*/*", "X-API-Key", key)}
		once := access(b, route, req) // cached from here on
		same := map[string]any{"set": map[string]string{}}
		for _, h := range append(once.Upstream, once.Headers...) {
			if h.Name != "Host" && h.Name != "Accept" && h.Name != "Content-Length" {
				same["set"].(map[string]string)[h.Name] = h.Value
			}
		}
		if once.Allowed {
			same["clear"] = []string{"x-api-key"} // what an allowed request clears
		} else {
			same["refuse"] = string(once.Body)
		}
		call := func(r *kongtest.Route) func() error {
			return func() error {
				out, err := r.Access(b.Context(), req)
				if err == nil && (out.Allowed != once.Allowed || len(out.Calls) > 3) { // the third once a minute
					err = fmt.Errorf("%+v", out)
				}
				return err
			}
		}
		b.Run(name, func(b *testing.B) { kongtest.Compare(b, call(base.Route(same)), call(route)) })
	}
}
