// Command pdk is the test plugin on go-pdk's own server.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/client"
	"github.com/Kong/go-pdk/entities"
	"github.com/Kong/go-pdk/server"

	"github.com/latchkey/latchkey/kong/kongtest/testdata/echo"
)

func main() {
	err := server.StartServer(func() any { return (*plugin)(echo.New()) }, echo.Version, echo.Priority)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type plugin echo.Config

func (c *plugin) Access(kong *pdk.PDK) {
	set := func(v string) {
		if err := kong.ServiceRequest.SetHeaders(map[string][]string{"X-Seen": {v}}); err != nil {
			panic(err)
		}
	}
	var seen string
	var err error
	switch c.Mode {
	case "":
		if seen, err = kong.Request.GetHeader(c.Read); err == nil && seen == "" {
			kong.Response.Exit(401, []byte("no key"), map[string][]string{"WWW-Authenticate": {"Bearer"}})
			return
		}
		headers := map[string][]string{"X-Seen": {seen}, "X-API-Key": {}}
		for _, name := range c.Names {
			headers[name] = []string{seen}
		}
		err = kong.ServiceRequest.SetHeaders(headers)
	case "headers", "query":
		var m map[string][]string
		if c.Mode == "query" {
			m, err = kong.Request.GetQuery(1000)
		} else {
			m, err = kong.Request.GetHeaders(1000)
		}
		set(flat(m))
	case "queryarg":
		seen, err = kong.Request.GetQueryArg("b")
		set(seen)
	case "rest":
		ip, _ := kong.Client.GetForwardedIp()
		method, _ := kong.Request.GetMethod()
		path, _ := kong.Request.GetPathWithQuery()
		_ = kong.Client.Authenticate(&entities.Consumer{Id: "c", Username: "u", CustomId: "x"},
			&client.AuthenticatedCredential{Id: "k", ConsumerId: "c"})
		_ = kong.Response.SetHeaders(map[string][]string{"RateLimit": {"1"}, "Set_Cookie": {"a\r\nb"}})
		_ = kong.Log.Err("a line")
		set(ip + " " + method + " " + path)
	case "env":
		set(strings.Join(os.Environ(), " "))
	case "close":
		kong.Request.Close()
	case "panic":
		panic("on purpose")
	case "hang":
		time.Sleep(time.Hour)
	}
	if err != nil {
		panic(err)
	}
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
