package kongtest_test

import (
	"fmt"
	"testing"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// BenchmarkServers puts the same request through the same plugin on go-pdk's
// server (baseline) and on ours (candidate): the two calls of an allowed
// request, and the two of a refused one. The harness's own share is in both.
//
//	go test -run '^$' -bench Servers -benchtime 20000x ./kong/kongtest
func BenchmarkServers(b *testing.B) {
	req := kongtest.Request{Headers: h(
		"Host", "api.example.com", "Accept", "*/*",
		"X-API-Key", "lk_live_0123456789abcdef0123456789abcdef_0123456")}
	for name, config := range map[string]map[string]any{
		"allowed": nil,
		"refused": {"read": "X-None"},
		"allowed, ten headers": {"names": []string{"X-Consumer-ID", "X-Consumer-Username", "X-Consumer-Custom-ID", "x_consumer_id",
			"X-Credential-Identifier", "X-Authenticated-Scope", "X-Consumer-Groups", "Latchkey-Environment"}},
	} {
		b.Run(name, func(b *testing.B) {
			side := func(server string) func() error {
				k := kongtest.Start(b, kongtest.Config{Binary: kongtest.Build(b, servers[server], "echo")})
				r := k.Route(config)
				return func() error {
					out, err := r.Access(b.Context(), req)
					if err == nil && out.Allowed == (name == "refused") {
						err = fmt.Errorf("%+v", out)
					}
					return err
				}
			}
			kongtest.Compare(b, side("go-pdk"), side("own"))
		})
	}
}
