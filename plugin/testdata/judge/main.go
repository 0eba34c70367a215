// Command judge is the plugin with a judge that does what the path of the
// request says, in place of the edge's.
package main

import (
	"context"
	"os"

	"github.com/latchkey/latchkey/plugin/access"
	"github.com/latchkey/latchkey/plugin/server"
	"github.com/latchkey/latchkey/shared/apikey"
)

func main() {
	gate := &access.Gate{Judge: judge{}, Prefixes: func() apikey.Prefixes { return apikey.Prefixes{"lk"} }}
	configure := func(policy []byte) (server.Handler, error) { return gate.Configure(policy) }
	os.Exit(server.Main(server.Plugin{
		Version: "1", Config: access.Policy{}, Configure: configure, Fault: access.Fault,
	}, server.Options{}))
}

type judge struct{}

func (judge) Validate(_ context.Context, r *apikey.Request) apikey.Verdict {
	switch r.Client.Path() {
	case "/panic":
		panic("lk_live_a-secret")
	case "/nil":
		var none *apikey.Record
		return apikey.Verdict{Code: apikey.Valid, Record: *none}
	case "/unknown":
		return apikey.Verdict{Code: 200}
	case "/zero":
		return apikey.Verdict{}
	}
	return apikey.Verdict{Code: apikey.Valid}
}
