package kongtest

import (
	"slices"
	"strings"
)

// hopByHop is what Kong and nginx take out of a request on the way to the
// upstream, after the plugins: named are the headers that the client's Connection
// named. The names of nginx's own are those of ngx_http_proxy_headers that it
// replaces.
func (h Headers) hopByHop(named []string) Headers {
	for _, name := range append(named, "Connection", "Keep-Alive", "Proxy", "Proxy-Connection", "TE", "Upgrade") {
		h = h.set(name, nil)
	}
	return h
}

// connectionNames are the names in the request's Connection header, by csv in
// runloop/handler.lua: of the first such header among the first 100, as it was
// before any plugin. Kong clears each by its exact name, whoever has set it.
func (r *Request) connectionNames() (names []string) {
	const spaces = " \t\n\v\f\r"
	value := r.firstOf("connection")
	if value == nil || slices.Contains([]string{"close", "keep-alive", "upgrade"}, strings.ToLower(*value)) {
		return nil
	}
	for name := range strings.SplitSeq(strings.ToLower(*value), ",") {
		if strings.HasPrefix(name, " ") {
			name = strings.TrimLeft(name, spaces)
		}
		if strings.HasSuffix(name, " ") {
			name = strings.TrimRight(name, spaces)
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}
