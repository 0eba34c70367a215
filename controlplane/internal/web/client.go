package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientOf applies the trusted-proxy rule, and tells whether the peer itself is
// trusted. Each proxy appends the address that it saw to X-Forwarded-For, so
// the list is read from the right: past trusted addresses, the first other one
// is the client. What stands left of it is the client's own claim. An entry
// that is no address makes the client unknown.
func clientOf(r *http.Request, trusted []netip.Prefix) (client netip.Addr, fromProxy bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false // a Unix socket, or a test
	}
	client = peer.Addr().Unmap().WithZone("")
	if len(trusted) == 0 || !within(trusted, client) {
		return client, false
	}
	hops := r.Header["X-Forwarded-For"]
	for i := len(hops) - 1; i >= 0; i-- {
		for rest, more := hops[i], true; more; {
			var entry string
			rest, entry, more = cutLast(rest)
			hop, ok := parseHop(entry)
			if !ok {
				return netip.Addr{}, true
			}
			client = hop
			if !within(trusted, hop) {
				return client, true
			}
		}
	}
	return client, true
}

// OverTLS reports whether the client came over TLS: to this process, or to a
// trusted proxy that says so in X-Forwarded-Proto.
func OverTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	told := r.Header["X-Forwarded-Proto"]
	return exchangeOf(r.Context()).fromProxy && len(told) == 1 && strings.EqualFold(strings.TrimSpace(told[0]), "https")
}

// cutLast cuts the last entry off a list.
func cutLast(list string) (rest, last string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", list, false
	}
	return list[:i], list[i+1:], true
}

// parseHop reads an address, with a port or without; some proxies add one.
func parseHop(entry string) (netip.Addr, bool) {
	entry = strings.TrimSpace(entry)
	addr, err := netip.ParseAddr(strings.Trim(entry, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(entry)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
