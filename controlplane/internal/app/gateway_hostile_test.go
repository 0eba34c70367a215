package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/kong/kongtest"
)

// Whatever paths, methods and addresses a client makes up, a key that is bound
// to some passes at the gateway only where POST /v1/auth would let it, and no
// request is a fault of ours.
func TestHostileRequestsAtBothDoors(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	g := gatewayOf(t, "gateway", f.token, []string{f.url})
	behalf := f.management("auth:on-behalf")
	key, _ := f.issue(m{
		"allow_paths": []string{"/reports", "/a/*/c"}, "allow_methods": []string{"GET"}, "allow_cidrs": []string{"192.0.2.0/24", "2001:db8::/32"},
	})
	plain := kongtest.Request{Method: "GET", Path: "/reports/7", ClientIP: "192.0.2.7"}
	requests := map[string]kongtest.Request{"as it should be": plain}
	for _, path := range []string{
		"/reports", "/reports/", "/reports/./7", "/reports/%37", "/a/b/c", "/a/b/c/d", "/a//c", "/a/b%2fc", "/a/../c", "/a/%2e%2e/c",
		"//reports", "/reports/..", "/reports/../users", "/reports/%2e%2e/users", "/reports/%2E./users", "/reports/.%2e%2fusers",
		"/reports/..%2fusers", "/reports/..%5cusers", `/reports/..\users`, "/reports/;/../users", "/reports/..;/users", "/reports;x=1",
		"/reports/%252e%252e/users", "/reports/%c0%ae%c0%ae/users", "/reports/\xff", "/reports/%ff", "/reports/%00", "/reports/%", "/reports/%zz",
		"/REPORTS", "/reports2", "/%72eports", "/users/../reports", "/users", "reports", "*", "", "/reports/\r\nX: y", "/reports/ ", "/reports/\t",
		"/" + strings.Repeat("a", 8<<10), "/reports/" + strings.Repeat("../", 1000), "/reports/" + strings.Repeat("%2e%2e/", 500),
	} {
		req := plain
		req.Path = path
		requests[fmt.Sprintf("path %.40q", path)] = req
	}
	for _, method := range []string{"get", "GET ", "GET\x00", "POST", "HEAD", "PROPFIND", "\xff", strings.Repeat("G", 4096), "GET, POST"} {
		req := plain
		req.Method = method
		requests[fmt.Sprintf("method %.20q", method)] = req
	}
	for _, ip := range []string{"unix:", "198.51.100.1", "::ffff:192.0.2.7", "2001:db8::1", "2001:db8::1%eth0", "192.0.2.7, 198.51.100.1", "\xff", "0xc0000207", "192.0.2.07"} {
		req := plain
		req.ClientIP = ip
		requests[fmt.Sprintf("address %q", ip)] = req
	}
	passed := 0
	for name, req := range requests {
		req.Headers = shows("X-API-Key", key)
		out := g.send(g.open, req)
		if !out.Allowed && out.Status >= 500 {
			t.Errorf("%s: %d %s", name, out.Status, out.Body)
		}
		door := f.send("POST", "/v1/auth", encoded(t, m{"auth_key": key, "client_ip": req.ClientIP, "method": req.Method, "path": req.Path}), "Authorization", "Bearer "+behalf)
		switch {
		case door.status == http.StatusUnprocessableEntity, door.status == http.StatusBadRequest:
			// No such address, method or path can be told to the other door.
		case code(out) != door.code():
			t.Errorf("%s: the gateway answers %s, POST /v1/auth %s", name, code(out), door.code())
		}
		if out.Allowed {
			passed++
			if strings.Contains(req.Path, "users") || req.Method != http.MethodGet {
				t.Errorf("%s passed", name)
			}
		}
	}
	if passed < 5 {
		t.Errorf("%d requests passed: the test proves nothing", passed)
	}
	t.Logf("%d of %d requests passed", passed, len(requests))
}

// What only a gateway answers is in the control plane's catalogue too, in the same
// words, so that the page that the answer names is there.
func TestTheGatewaysOwnRefusalHasItsPage(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	g := gatewayOf(t, "gateway", f.token, []string{f.url})
	out := g.send(g.open, kongtest.Request{Headers: shows("Connection", "X-Consumer-ID")})
	var got struct{ Code, Title, Detail, Fix string }
	if err := json.Unmarshal(out.Body, &got); err != nil || out.Status != http.StatusBadRequest {
		t.Fatalf("%v, %d %s", err, out.Status, out.Body)
	}
	entry, found := web.Lookup(web.Code(got.Code))
	if !found || entry.Status != out.Status || entry.Title != got.Title || entry.Detail != got.Detail || entry.Fix != got.Fix {
		t.Errorf("the gateway says %+v, the catalogue %+v", got, entry)
	}
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
