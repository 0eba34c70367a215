// Command latchkey-auth is the Kong plugin: it lets a request on to its upstream
// only with a good key.
//
//	Kong ──protocol──► server ──Phase──► access.Gate ──► edge's validator
//	                                                        ▲ change feed, look-ups
//	gateway.env, environment ──► config ──► process ──► edge.Edge ◄──► control plane
//
// It owns what belongs to the process and not to a route: the configuration, the
// connection to the control plane, metrics, and the order of beginning and end.
// Kong runs it by its file name, which is the plugin's name.
package main

import (
	"os"

	"github.com/latchkey/latchkey/plugin/access"
	"github.com/latchkey/latchkey/plugin/server"
)

// version is what the plugin says of itself, to Kong and to the control plane.
const version = "0.1.0"

// priority is that of Kong's own key-auth: before acl and rate-limiting, which
// may need to know the caller.
const priority = 1250

func main() {
	p := newProcess()
	os.Exit(server.Main(server.Plugin{
		Version: version, Priority: priority, Config: access.Policy{},
		Configure: p.configure, Fault: access.Fault, Run: p.run,
	}, server.Options{}))
}
