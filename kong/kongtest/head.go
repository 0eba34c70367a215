package kongtest

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Head is the head of an HTTP/1.1 message as it stands on the wire: its first
// line and its header lines in order, in the writing that was sent.
type Head struct {
	Line    string
	Headers Headers
}

// Append appends the head, with the empty line that ends it.
func (h *Head) Append(b []byte) []byte {
	b = append(append(b, h.Line...), "\r\n"...)
	for _, e := range h.Headers {
		b = append(append(append(append(b, e.Name...), ": "...), e.Value...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// mostHead bounds a head that is read.
const mostHead = 1 << 20

// ReadHead reads a head, up to the message's body. It takes bytes as they come:
// what nginx would refuse is for Request.Nginx to say.
func ReadHead(r *bufio.Reader) (h Head, err error) {
	for n := 0; n < mostHead; {
		line, err := r.ReadString('\n')
		if err != nil {
			return h, err
		}
		n += len(line)
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		switch {
		case h.Line == "":
			h.Line = line
		case line == "":
			return h, nil
		default:
			name, value, _ := strings.Cut(line, ":")
			h.Headers = append(h.Headers, Header{name, strings.Trim(value, " ")})
		}
	}
	return h, errors.New("a head without end")
}

// ReadRequest reads the head of a request; Host is among its headers.
func ReadRequest(r *bufio.Reader) (Request, error) {
	h, err := ReadHead(r)
	if err != nil {
		return Request{}, err
	}
	// What is between the first space and the last is the target: if it has
	// spaces, Nginx finds them there.
	method, rest, _ := strings.Cut(h.Line, " ")
	i := strings.LastIndexByte(rest, ' ')
	if i < 0 || !strings.HasPrefix(rest[i+1:], "HTTP/1.") {
		return Request{}, fmt.Errorf("no request: %q", h.Line)
	}
	path, query, _ := strings.Cut(rest[:i], "?")
	return Request{Method: method, Path: path, Query: query, Headers: h.Headers}, nil
}

// Wire returns what a client writes to send the request to a host, through a
// proxy that tells the client's address (the PROXY protocol, version 1). An
// error says why no client can send this request and no other.
func (r Request) Wire(host string) ([]byte, error) {
	r = r.withDefaults()
	ip, err := netip.ParseAddr(r.ClientIP)
	if err != nil {
		return nil, fmt.Errorf("an address: %w", err)
	}
	h := Head{
		Line:    r.Method + " " + r.uri() + " HTTP/1.1",
		Headers: append(Headers{{"Host", host}}, r.Headers...),
	}
	for _, e := range append(h.Headers, Header{Value: h.Line}) {
		if strings.ContainsAny(e.Name+e.Value, "\r\n") {
			return nil, errors.New("a line end within a line begins another one")
		}
		if strings.Trim(e.Value, " ") != e.Value {
			return nil, errors.New("spaces around a value are no part of it")
		}
	}
	return append(h.Append(proxied(ip)), r.Body...), nil
}

func proxied(ip netip.Addr) []byte {
	if ip.Is4() {
		return fmt.Appendf(nil, "PROXY TCP4 %s 127.0.0.1 40000 8000\r\n", ip)
	}
	return fmt.Appendf(nil, "PROXY TCP6 %s ::1 40000 8000\r\n", ip)
}

// Nginx is the status with which nginx itself answers a request, 0 where it
// hands it on: ngx_http_parse.c and ngx_http_request.c of 1.25.3, as they are in
// Kong 3.9.3. Not modelled are its limits of size, what it makes of the path, and
// that it leaves out headers with odd names.
func (r Request) Nginx() int {
	r = r.withDefaults()
	const methods = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
	if strings.Trim(r.Method, methods) != "" || r.Path[0] != '/' || strings.ContainsFunc(r.uri(), blank) {
		return http.StatusBadRequest
	}
	lines, seen := 1, map[string]bool{} // there is always a Host
	for _, h := range r.Headers {
		name := strings.ToLower(h.Name)
		if name != "host" {
			lines++
		}
		if name == "" || strings.ContainsFunc(name, blank) || strings.Contains(h.Value, "\x00") || once[name] && seen[name] {
			return http.StatusBadRequest
		}
		seen[name] = true
	}
	if lines > mostLinesOfHeaders {
		return http.StatusBadRequest
	}
	return 0
}

// blank are the bytes that may stand neither in a target nor in a header's name.
func blank(c rune) bool { return c <= ' ' || c == 0x7f }

// mostLinesOfHeaders is max_headers, which Kong 3.9.3 has with the fix of
// CVE-2026-49975.
const mostLinesOfHeaders = 1000

// once are headers that may not be repeated (ngx_http_process_unique_header_line
// and ngx_http_process_host).
var once = map[string]bool{
	"host": true, "authorization": true, "content-length": true, "content-range": true, "expect": true, "transfer-encoding": true,
	"if-match": true, "if-none-match": true, "if-modified-since": true, "if-unmodified-since": true, "if-range": true,
}

// withDefaults fills in what the client's program would.
func (r Request) withDefaults() Request {
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Path == "" {
		r.Path = "/"
	}
	if r.ClientIP == "" {
		r.ClientIP = "192.0.2.1"
	}
	return r
}
