// Command baseline makes the calls that latchkey-auth makes for a key in a
// header, with the same arguments, and decides nothing: what is left is the price
// of being in Kong's way at all.
package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"

	"github.com/latchkey/latchkey/plugin/access"
	"github.com/latchkey/latchkey/plugin/gateway"
	"github.com/latchkey/latchkey/plugin/server"
)

func main() {
	os.Exit(server.Main(server.Plugin{Version: "1", Config: config{}, Configure: configure, Fault: access.Fault}, server.Options{}))
}

type config struct {
	Set   map[string]string `json:"set"`
	Clear []string          `json:"clear"`
	// Refuse is the body of the refusal where there is one, and Set its headers.
	Refuse string `json:"refuse"`
}

func configure(b []byte) (server.Handler, error) {
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	var headers []gateway.Header
	for name, value := range c.Set {
		headers = append(headers, gateway.Header{Name: name, Value: value})
	}
	for _, name := range c.Clear {
		headers = append(headers, gateway.Header{Name: name})
	}
	reply := gateway.Reply{Status: 401, Body: []byte(strings.TrimSpace(c.Refuse)), Headers: headers}
	return func(_ context.Context, p *gateway.Phase) bool {
		if err := p.Headers(func(_, _ []byte) {}); err != nil {
			return false
		}
		if c.Refuse == "" {
			return p.SetUpstream(headers) == nil
		}
		_ = p.Exit(reply)
		return false
	}, nil
}
