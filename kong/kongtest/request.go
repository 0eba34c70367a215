package kongtest

import (
	"slices"
	"strings"
)

// Header is one header line; names are kept as they were sent.
type Header struct{ Name, Value string }

// Headers are header lines in order; names may repeat.
type Headers []Header

// Values are the values of the headers of exactly that name but for case, as
// ngx.req.set_header and a careful upstream see them.
func (h Headers) Values(name string) []string { return h.match(name, strings.EqualFold) }

// Loose also takes underscores for dashes, as CGI, WSGI and PHP upstreams do.
func (h Headers) Loose(name string) []string {
	return h.match(name, func(a, b string) bool { return variable(a) == variable(b) })
}

// Get is the first value of that name, or "".
func (h Headers) Get(name string) string {
	if v := h.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

func (h Headers) match(name string, same func(a, b string) bool) (values []string) {
	for _, e := range h {
		if same(e.Name, name) {
			values = append(values, e.Value)
		}
	}
	return values
}

// set replaces all headers of that name; no values clear it.
func (h Headers) set(name string, values []string) Headers {
	h = slices.DeleteFunc(h, func(e Header) bool { return strings.EqualFold(e.Name, name) })
	for _, v := range values {
		h = append(h, Header{escape(name, escapedInName), escape(v, escapedInValue)})
	}
	return h
}

// escape is what lua-nginx-module does to what it writes into headers
// (ngx_http_lua_escape_uri): CR and LF cannot be smuggled.
func escape(s string, which func(c byte) bool) string {
	const hex = "0123456789ABCDEF"
	if i := strings.IndexFunc(s, func(r rune) bool { return r < 0x80 && which(byte(r)) || r >= 0x80 && which(0x80) }); i < 0 {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; which(c) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escapedInValue(c byte) bool { return c < 0x20 && c != '\t' || c == 0x7f }

func escapedInName(c byte) bool {
	return c <= 0x20 || c >= 0x7f || strings.IndexByte("\"(),/:;?<=>@[]\\{}", c) >= 0
}

// variable is the form in which nginx compares a header's name with the
// variable $http_name: lower case, dashes as underscores.
func variable(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }

// Request is what a client sends, as far as a plugin can see it.
type Request struct {
	Method   string // default GET
	Path     string // as sent, default /
	Query    string // raw, without "?"
	Headers  Headers
	ClientIP string // after trusted_ips, default 192.0.2.1
	Body     []byte
	// Worker is the number of the worker that serves it; 0 takes the next in
	// turn, 1 is the first.
	Worker int
}

// header is kong.request.get_header: http.lua get_header, without ctx.
func (r *Request) header(name string) string {
	want := variable(name)
	var joined string
	n := 0
	for _, h := range r.Headers {
		if variable(h.Name) != want {
			continue
		}
		if n++; n == 1 {
			joined = h.Value
		} else {
			joined += ", " + h.Value // nginx joins what repeats
		}
	}
	if !strings.Contains(joined, ", ") {
		return joined
	}
	// Then it asks ngx.req.get_headers(), that is the first 100 headers by
	// lower-case name; underscores in the name asked for match dashes, but an
	// underscore form that was sent is found only under its own name.
	if v := r.firstOf(strings.ToLower(name)); v != nil {
		return *v
	}
	if v := r.firstOf(strings.ReplaceAll(strings.ToLower(name), "_", "-")); v != nil {
		return *v
	}
	return ""
}

func (r *Request) firstOf(lower string) *string {
	for i := range r.Headers[:min(len(r.Headers), defaultMost)] {
		if strings.ToLower(r.Headers[i].Name) == lower {
			return &r.Headers[i].Value
		}
	}
	return nil
}

// defaultMost is lua_max_req_headers and lua_max_uri_args.
const defaultMost = 100

// headerTable is ngx.req.get_headers(most).
func (r *Request) headerTable(most int) table {
	t := table{}
	for _, h := range r.Headers[:min(len(r.Headers), most)] {
		add(t, strings.ToLower(h.Name), h.Value)
	}
	return t
}

// add collects repeated names into a list, as lua-resty-core does.
func add(t table, name string, v any) {
	switch old := t[name].(type) {
	case nil:
		t[name] = v
	case list:
		t[name] = append(old, v)
	default:
		t[name] = list{old, v}
	}
}

// queryTable is ngx.req.get_uri_args(most): an argument without "=" is true,
// one without a name is dropped, undecodable escapes stay as they are.
func (r *Request) queryTable(most int) table {
	t := table{}
	n := 0
	for part := range strings.SplitSeq(r.Query, "&") {
		name, value, given := strings.Cut(part, "=")
		if name = unescape(name, true); name == "" {
			continue
		}
		if n++; n > most {
			break
		}
		if given {
			add(t, name, unescape(value, true))
		} else {
			add(t, name, true)
		}
	}
	return t
}

// unescape decodes %XX, and "+" where asked.
func unescape(s string, plus bool) string {
	return decode(s, plus, func(byte) bool { return true })
}

func decode(s string, plus bool, wanted func(c byte) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case plus && c == '+':
			b.WriteByte(' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			if v := unhex(s[i+1])<<4 | unhex(s[i+2]); wanted(v) {
				b.WriteByte(v)
			} else {
				b.WriteString(strings.ToUpper(s[i : i+3]))
			}
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	default:
		return c&^0x20 - 'A' + 10
	}
}

// normalPath is kong.request.get_path: kong/tools/uri.lua normalize with
// slashes merged. Only reserved characters stay encoded, so the result need not
// be UTF-8 and may hold spaces and control characters.
func (r *Request) normalPath() string {
	path := decode(r.Path, false, func(c byte) bool {
		return strings.IndexByte("!*'();:@&=+$,/?%#[]", c) < 0
	})
	if !strings.Contains(path, ".") && !strings.Contains(path, "//") {
		return path
	}
	var out []string
	pop := func() { out = out[:max(len(out)-1, 0)] }
	for path != "" {
		switch {
		case path == "/.":
			path = "/"
		case path == "/..":
			path = "/"
			pop()
		case path == "." || path == "..":
			path = ""
		case strings.HasPrefix(path, "../"):
			path = path[3:]
		case strings.HasPrefix(path, "./"), strings.HasPrefix(path, "/./"):
			path = path[2:]
		case strings.HasPrefix(path, "/../"):
			path = path[3:]
			pop()
		case strings.HasPrefix(path, "//"):
			path = path[1:]
		default:
			end := len(path)
			if i := strings.IndexByte(path[1:], '/'); i >= 0 {
				end = i + 1
			}
			out, path = append(out, path[:end]), path[end:]
		}
	}
	return strings.Join(out, "")
}
