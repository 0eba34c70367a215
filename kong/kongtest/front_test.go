package kongtest_test

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// Front alone: kong/e2e puts every case through it.
func TestFront(t *testing.T) {
	t.Parallel()
	k := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, servers["own"], "echo")})
	f := kongtest.Listen(t, []byte(`{"_format_version":"3.0","services":[{"name":"s","url":"http://127.0.0.1:1","routes":[
		{"name":"r","hosts":["r.test"],"strip_path":false,"plugins":[{"name":"echo","config":{}}]}]}]}`), k)
	for name, tc := range map[string]struct {
		sent string
		want string // the answer's first line
	}{
		"refused by the plugin":   {"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: r.test\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"no upstream":             {"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: r.test\r\nX-API-Key: k\r\n\r\n", "HTTP/1.1 502 Bad Gateway"},
		"no such route":           {"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: other.test\r\n\r\n", "HTTP/1.1 404 Not Found"},
		"refused by nginx":        {"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\nget / HTTP/1.1\r\nHost: r.test\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"no host":                 {"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"not HTTP":                {"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\nhello\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"without the PROXY line":  {"GET / HTTP/1.1\r\nHost: r.test\r\n\r\n", ""},
		"a PROXY line of nothing": {"PROXY\r\n\r\n", ""},
	} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", f.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(tc.sent)); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(c).ReadString('\n') // "" where it hangs up
		if got := strings.TrimSuffix(line, "\r\n"); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
