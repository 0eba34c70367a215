package kongtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Front is Kong's proxy port: HTTP/1.1 on a listener, so that what is written to
// test a real Kong can be tested without one. It is started with a declarative
// configuration in JSON, of which it knows services with a URL, their routes
// with hosts, and the plugins on these.
//
//	client ──PROXY line, request──► Front ──Request.Nginx──► Route.Access ──► upstream
//
// Every connection begins with a PROXY line, which is where the client's address
// comes from, and carries one request.
//
// Not modelled: other matches than hosts, keep-alive, bodies, retries and
// timeouts of the upstream, and most of what Kong adds to an answer.
type Front struct {
	listener net.Listener
	routes   map[string]bound // by host
	conns    sync.WaitGroup
}

// bound is a route and the upstream behind it.
type bound struct {
	*Route
	upstream string
}

// declarative is the part of Kong's declarative format that Front knows.
type declarative struct {
	Format   string `json:"_format_version"`
	Services []struct {
		Name   string
		URL    string
		Routes []struct {
			Name      string
			Hosts     []string
			StripPath *bool `json:"strip_path"`
			Plugins   []struct {
				Name   string
				Config json.RawMessage
			}
		}
	}
}

// Listen serves a declarative configuration whose plugins are those of kongs.
// The test's end stops it.
func Listen(t testing.TB, config []byte, kongs ...*Kong) *Front {
	t.Helper()
	f := &Front{routes: map[string]bound{}}
	if err := f.load(config, kongs); err != nil {
		t.Fatalf("Kong would refuse the configuration: %v", err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.listener = l
	ctx, cancel := context.WithCancel(context.Background())
	f.conns.Go(func() { f.accept(ctx) })
	t.Cleanup(func() { cancel(); l.Close(); f.conns.Wait() })
	return f
}

// Address is where it listens.
func (f *Front) Address() string { return f.listener.Addr().String() }

func (f *Front) load(config []byte, kongs []*Kong) error {
	d := json.NewDecoder(bytes.NewReader(config))
	d.DisallowUnknownFields()
	var declared declarative
	if err := d.Decode(&declared); err != nil {
		return err
	}
	if declared.Format != "3.0" {
		return fmt.Errorf("_format_version %q", declared.Format)
	}
	for _, s := range declared.Services {
		upstream, isHTTP := strings.CutPrefix(s.URL, "http://")
		for _, r := range s.Routes {
			if !isHTTP || len(r.Hosts) == 0 || len(r.Plugins) != 1 {
				return fmt.Errorf("route %s: want http, hosts and one plugin", r.Name)
			}
			k := pluginOf(kongs, r.Plugins[0].Name)
			if k == nil {
				return fmt.Errorf("plugin '%s' not enabled", r.Plugins[0].Name)
			}
			if err := k.dump.Check(r.Plugins[0].Config); err != nil {
				return fmt.Errorf("route %s: %w", r.Name, err)
			}
			route := bound{k.Route(r.Plugins[0].Config), upstream}
			for _, host := range r.Hosts {
				f.routes[host] = route
			}
		}
	}
	return nil
}

func pluginOf(kongs []*Kong, name string) *Kong {
	for _, k := range kongs {
		if k.dump.Plugins[0].Name == name {
			return k
		}
	}
	return nil
}

func (f *Front) accept(ctx context.Context) {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return // closed
		}
		f.conns.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			c.SetDeadline(time.Now().Add(time.Minute))
			_, _ = c.Write(f.answer(ctx, bufio.NewReader(c))) // the client may be gone
		})
	}
}

// answer reads one request and returns the whole answer to it.
func (f *Front) answer(ctx context.Context, r *bufio.Reader) []byte {
	line, err := r.ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) < 3 || words[0] != "PROXY" {
		return nil // nginx closes the connection
	}
	req, err := ReadRequest(r)
	if err != nil || req.Nginx() != 0 || req.Headers.Get("Host") == "" {
		return message(http.StatusBadRequest, "Bad request")
	}
	req.ClientIP = words[2]
	route, found := f.routes[req.Headers.Get("Host")]
	if !found {
		return message(http.StatusNotFound, "no Route matched with those values")
	}
	out, err := route.Access(ctx, req)
	if err != nil {
		return message(http.StatusInternalServerError, err.Error())
	}
	if !out.Allowed {
		h := Head{Line: statusLine(out.Status), Headers: out.Headers}
		b := h.Append(nil)
		if req.Method == http.MethodHead {
			return b
		}
		return append(b, out.Body...)
	}
	answer, err := forward(ctx, route.upstream, &req, &out)
	if err != nil {
		return message(http.StatusBadGateway, "An invalid response was received from the upstream server")
	}
	return answer
}

// forward is nginx's proxy_pass with the headers that Kong sets there
// (nginx_kong.lua), and those of the plugin in the answer.
func forward(ctx context.Context, upstream string, req *Request, out *Outcome) ([]byte, error) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", upstream)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	sent := Request{Path: req.Path, Query: out.Query}
	h := Head{Line: req.Method + " " + sent.uri() + " HTTP/1.1", Headers: out.Upstream}
	for name, value := range map[string]string{
		"Host": upstream, "Connection": "close", "Via": "1.1 kong/3.9.3",
		"X-Forwarded-For": req.ClientIP, "X-Forwarded-Proto": "http", "X-Forwarded-Host": req.Headers.Get("Host"),
		"X-Forwarded-Port": "8000", "X-Forwarded-Path": req.Path, "X-Real-IP": req.ClientIP, "X-Kong-Request-Id": "0",
	} {
		h.Headers = h.Headers.set(name, []string{value})
	}
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	if _, err := c.Write(h.Append(nil)); err != nil {
		return nil, err
	}
	r := bufio.NewReader(c)
	answer, err := ReadHead(r)
	if err != nil {
		return nil, err
	}
	answer.Headers = append(answer.Headers, out.Headers...)
	body, err := io.ReadAll(io.LimitReader(r, mostHead))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return append(answer.Append(nil), body...), nil
}

func statusLine(status int) string {
	return fmt.Sprintf("HTTP/1.1 %d %s", status, http.StatusText(status))
}

// message is an answer of Kong's own.
func message(status int, text string) []byte {
	body := fmt.Sprintf(`{"message":%q}`, text)
	h := Head{Line: statusLine(status), Headers: Headers{
		{"Content-Type", "application/json; charset=utf-8"}, {"Content-Length", strconv.Itoa(len(body))},
	}}
	return append(h.Append(nil), body...)
}
