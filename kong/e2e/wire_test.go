package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/kong/kongtest"
)

const patience = 30 * time.Second // for one request

// upstream is the service behind Kong. It keeps the head of every request, as it
// stood on the wire, and answers 200 with nothing in it.
type upstream struct {
	listener net.Listener
	conns    sync.WaitGroup
	mu       sync.Mutex
	arrived  []kongtest.Request
}

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{listener: l}
	u.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			u.conns.Go(func() { u.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); u.conns.Wait() })
	return u
}

// serve answers one request.
func (u *upstream) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	r, err := kongtest.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return // Kong left
	}
	u.mu.Lock()
	u.arrived = append(u.arrived, r)
	u.mu.Unlock()
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") // Kong may have left
}

// take returns what has arrived since the last time.
func (u *upstream) take() []kongtest.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	arrived := u.arrived
	u.arrived = nil
	return arrived
}

// binding enables a plugin for requests to one host.
type binding struct {
	plugin string
	config string // JSON
}

// routes are what Kong is configured with: a host for each configuration of a
// plugin. Hosts are what no case has a use for.
type routes struct {
	hosts map[binding]string
	order []binding
}

func bindingOf(t testing.TB, plugin string, config map[string]any) binding {
	t.Helper()
	if config == nil {
		config = map[string]any{}
	}
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return binding{plugin, string(b)}
}

func (r *routes) add(t testing.TB, plugin string, config map[string]any) {
	t.Helper()
	b := bindingOf(t, plugin, config)
	if _, known := r.hosts[b]; known {
		return
	}
	r.hosts[b] = fmt.Sprintf("r%d.test", len(r.order))
	r.order = append(r.order, b)
}

// declare writes Kong's declarative configuration.
func (r *routes) declare(t testing.TB, u *upstream) []byte {
	t.Helper()
	type m = map[string]any
	var all []m
	for _, b := range r.order {
		name := r.hosts[b]
		all = append(all, m{
			"name": name, "hosts": []string{name}, "strip_path": false,
			"plugins": []m{{"name": b.plugin, "config": json.RawMessage(b.config)}},
		})
	}
	b, err := json.Marshal(m{
		"_format_version": "3.0",
		"services":        []m{{"name": "upstream", "url": "http://" + u.listener.Addr().String(), "routes": all}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exchange is what came of one request, as seen from both ends.
type exchange struct {
	kongtest.Outcome
	refused error // no answer: nobody listens, or Kong left
}

// send puts a request through Kong. One at a time: what arrives meanwhile is its.
func send(t testing.TB, address, host string, u *upstream, r kongtest.Request) exchange {
	t.Helper()
	b, err := r.Wire(host)
	if err != nil {
		t.Fatalf("no client can send this: %v", err)
	}
	u.take()
	out, err := dialog(t, address, b, r.Method)
	if err != nil {
		return exchange{refused: err}
	}
	switch arrived := u.take(); len(arrived) {
	case 0:
	case 1:
		if method := arrived[0].Method; method != r.Method && (r.Method != "" || method != http.MethodGet) {
			t.Errorf("the upstream sees the method %s", method)
		}
		out.Allowed, out.Upstream, out.Query = true, without(arrived[0].Headers, proxys), arrived[0].Query
		out.Headers = without(out.Headers, []string{"content-length"}) // the upstream's
	default:
		t.Errorf("it arrived %d times", len(arrived))
	}
	return exchange{Outcome: out}
}

// dialog writes and reads on a connection of its own.
func dialog(t testing.TB, address string, b []byte, method string) (out kongtest.Outcome, err error) {
	t.Helper()
	c, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return out, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return out, err
	}
	if _, err := c.Write(b); err != nil {
		return out, err
	}
	r := bufio.NewReader(c)
	head, err := kongtest.ReadHead(r)
	if err != nil {
		return out, err
	}
	words := strings.Fields(head.Line)
	if len(words) < 2 {
		return out, fmt.Errorf("no answer: %q", head.Line)
	}
	if out.Status, err = strconv.Atoi(words[1]); err != nil {
		return out, err
	}
	out.Headers = without(head.Headers, answers)
	// What is not as long as it says is an error; Kong's own answers are never
	// chunked.
	if n := head.Headers.Get("Content-Length"); n != "" && method != http.MethodHead {
		length, err := strconv.Atoi(n)
		if err != nil || length > 1<<20 {
			return out, fmt.Errorf("a body of %q bytes", n)
		}
		out.Body = make([]byte, length)
		if _, err := io.ReadFull(r, out.Body); err != nil {
			return out, err
		}
	}
	return out, nil
}

// proxys are the headers of the upstream's request that are Kong's own business:
// nginx_kong.lua sets them after the access phase.
var proxys = []string{
	"host", "connection", "via", "te", "upgrade", "x-real-ip", "x-kong-request-id", "x-forwarded-for", "x-forwarded-proto",
	"x-forwarded-host", "x-forwarded-port", "x-forwarded-path", "x-forwarded-prefix", "content-length",
}

// answers are those of the client's answer.
var answers = []string{
	"date", "connection", "server", "via", "x-kong-request-id", "x-kong-response-latency", "x-kong-upstream-latency", "x-kong-proxy-latency",
}

func without(h kongtest.Headers, names []string) kongtest.Headers {
	return slices.DeleteFunc(slices.Clone(h), func(e kongtest.Header) bool {
		return slices.Contains(names, strings.ToLower(e.Name))
	})
}
