package apikey

import (
	"strconv"
	"strings"
)

// ipAllowed judges the client's address: a denied network wins, and where some
// networks are allowed no other is. A key with address rules is refused where
// the address is not known.
func (k *Key) ipAllowed(req *Request) bool {
	if k.AllowCIDRs.Empty() && k.DenyCIDRs.Empty() {
		return true
	}
	ip := req.ClientIP()
	if !ip.IsValid() || k.DenyCIDRs.Contains(ip) {
		return false
	}
	return k.AllowCIDRs.Empty() || k.AllowCIDRs.Contains(ip)
}

// methodAllowed compares HTTP methods exactly (RFC 9110: they are
// case-sensitive). An unknown method is not allowed where there is a rule.
func (k *Key) methodAllowed(req *Request) bool {
	if k.AllowMethods.Empty() {
		return true
	}
	method := req.method()
	for m := range k.AllowMethods.All() {
		if m == method {
			return true
		}
	}
	return false
}

// pathAllowed matches the request's path with each pattern.
func (k *Key) pathAllowed(req *Request) bool {
	if k.AllowPaths.Empty() {
		return true
	}
	path := req.path()
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

// CheckPattern reports whether s can be a pattern that some path matches as it
// reads: what plainPath would refuse in a path is never matched, and a "*" inside
// a segment would stand for itself alone.
func CheckPattern(s string) bool {
	if !plainPath(s) {
		return false
	}
	for segment := range strings.SplitSeq(s, "/") {
		if strings.Contains(segment, "*") && segment != "*" {
			return false
		}
	}
	return true
}

// plainPath refuses what an upstream may read as another path than the one
// that is matched here: dot segments (also before a path parameter, which some
// servers cut off), empty segments, backslashes, spaces and controls, encodings
// that hide one of these, and anything that does not start with "/" or has a
// query or fragment.
func plainPath(path string) bool {
	if path == "" || path[0] != '/' || strings.ContainsAny(path, "\\?#") || strings.Contains(path, "//") {
		return false
	}
	for rest := path; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		name, _, parameters := strings.Cut(segment, ";")
		if name == "." || name == ".." || name == "" && parameters {
			return false
		}
	}
	for i := range len(path) {
		if path[i] <= ' ' || path[i] == 0x7f || path[i] == '%' && !plainEscape(path[i+1:]) {
			return false
		}
	}
	return true
}

// plainEscape reports whether the two digits behind a "%" stand for a byte that
// means itself: no control, space, "%", ".", "/", ";" or "\", and no 0xC0 or
// 0xC1, which only begin overlong forms of these.
func plainEscape(rest string) bool {
	if len(rest) < 2 {
		return false
	}
	n, err := strconv.ParseUint(rest[:2], 16, 8)
	return err == nil && n > ' ' && n != 0x7f && n != 0xc0 && n != 0xc1 && !strings.ContainsRune("%./;\\", rune(n))
}
