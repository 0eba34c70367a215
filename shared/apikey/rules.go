package apikey

import (
	"net/netip"
	"strings"
)

// ipAllowed judges the client's address: a denied network wins, and where some
// networks are allowed no other is. A key with address rules is refused where
// the address is not known.
func (k *Key) ipAllowed(ip netip.Addr) bool {
	if k.AllowCIDRs.Empty() && k.DenyCIDRs.Empty() {
		return true
	}
	if !ip.IsValid() || k.DenyCIDRs.Contains(ip) {
		return false
	}
	return k.AllowCIDRs.Empty() || k.AllowCIDRs.Contains(ip)
}

// methodAllowed compares HTTP methods exactly (RFC 9110: they are
// case-sensitive). An unknown method is not allowed where there is a rule.
func (k *Key) methodAllowed(method string) bool {
	if k.AllowMethods.Empty() {
		return true
	}
	for m := range k.AllowMethods.All() {
		if m == method {
			return true
		}
	}
	return false
}

// pathAllowed matches the request's path with each pattern.
func (k *Key) pathAllowed(path string) bool {
	if k.AllowPaths.Empty() {
		return true
	}
	if !plainPath(path) {
		return false
	}
	for pattern := range k.AllowPaths.All() {
		if PathMatches(pattern, path) {
			return true
		}
	}
	return false
}

// PathMatches reports whether a path lies at or below a pattern. Both are cut
// into segments at "/"; each segment of the pattern equals the path's or is
// "*", which stands for exactly one. "/reports" matches "/reports" and
// "/reports/7" but not "/reports2"; "/users/*/keys" matches "/users/7/keys/1".
func PathMatches(pattern, path string) bool {
	pattern, path = strings.Trim(pattern, "/"), strings.TrimPrefix(path, "/")
	for pattern != "" {
		var want, have string
		want, pattern, _ = strings.Cut(pattern, "/")
		have, path, _ = strings.Cut(path, "/")
		if have == "" || want != "*" && want != have {
			return false
		}
	}
	return true
}

// plainPath refuses what an upstream may read as another path than the one
// that is matched here: dot segments, empty segments, backslashes, encoded
// dots, slashes, backslashes and NUL, and anything that does not start with "/".
func plainPath(path string) bool {
	if path == "" || path[0] != '/' || strings.ContainsAny(path, "\\\x00") || strings.Contains(path, "//") {
		return false
	}
	for rest := path; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		if segment == "." || segment == ".." {
			return false
		}
	}
	for rest := path; ; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return true
		}
		if len(rest) < i+3 {
			return false
		}
		switch strings.ToLower(rest[i+1 : i+3]) {
		case "2e", "2f", "5c", "00", "25":
			return false
		}
		rest = rest[i+3:]
	}
}
