// Command own is the test plugin on Latchkey's server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sort"
	"strings"

	"github.com/latchkey/latchkey/kong/kongtest/testdata/echo"
	"github.com/latchkey/latchkey/plugin/gateway"
	"github.com/latchkey/latchkey/plugin/server"
)

func main() {
	os.Exit(server.Main(server.Plugin{
		Version: echo.Version, Priority: echo.Priority, Config: echo.Config{}, Configure: configure,
	}, server.Options{}))
}

func configure(b []byte) (server.Handler, error) {
	c := echo.New()
	if err := json.Unmarshal(b, c); err != nil {
		return nil, err
	}
	switch c.Mode {
	case "broken":
		return nil, errors.New("a broken configuration")
	case "brokenpanic":
		panic("secret")
	}
	return func(ctx context.Context, p *gateway.Phase) bool { return access(ctx, c, p) }, nil
}

func access(ctx context.Context, c *echo.Config, p *gateway.Phase) bool {
	set := func(v string) bool { return p.SetUpstream([]gateway.Header{{Name: "X-Seen", Value: v}}) == nil }
	switch c.Mode {
	case "":
		seen, err := p.Header(c.Read)
		if err == nil && seen == "" {
			_ = p.Exit(gateway.Reply{Status: 401, Body: []byte("no key"), Headers: []gateway.Header{{Name: "WWW-Authenticate", Value: "Bearer"}}})
			return false
		}
		headers := []gateway.Header{{Name: "X-Seen", Value: seen}, {Name: "X-API-Key"}}
		for _, name := range c.Names {
			headers = append(headers, gateway.Header{Name: name, Value: seen})
		}
		return p.SetUpstream(headers) == nil
	case "headers":
		m := map[string][]string{}
		err := p.Headers(func(name, value []byte) { m[string(name)] = append(m[string(name)], string(value)) })
		return err == nil && set(flat(m))
	case "query":
		query, err := p.RawQuery()
		return err == nil && p.SetRawQuery("set=1") == nil && set(query)
	case "rest":
		ip, _ := p.ForwardedIP()
		method, _ := p.Method()
		path, _ := p.Path()
		_ = p.Authenticate(gateway.Caller{ConsumerID: "c", Username: "u", CustomID: "x", CredentialID: "k"})
		_ = p.SetResponse([]gateway.Header{{Name: "RateLimit", Value: "1"}, {Name: "Set_Cookie", Value: "a\r\nb"}})
		_ = p.Log(gateway.Err, "a line")
		return set(ip + " " + method + " " + path)
	case "env":
		return set(strings.Join(os.Environ(), " "))
	case "panic":
		panic("on purpose")
	case "latepanic":
		_ = set("half")
		var none *echo.Config
		return none.On
	case "undecided":
		_ = set("half")
		return false
	case "badcall":
		_ = p.SetResponse([]gateway.Header{{Name: "X", Value: strings.Repeat("x", gateway.MaxFrame)}})
		return true
	case "afterexit":
		_ = p.Exit(gateway.Reply{Status: 403})
		_, _ = p.Header("X")
		return true
	case "hang":
		<-ctx.Done()
	}
	return false
}

func flat(m map[string][]string) string {
	var out []string
	delete(m, "host") // it says by which route the request came
	for k, v := range m {
		out = append(out, k+"="+strings.Join(v, ","))
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}
