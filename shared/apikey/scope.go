package apikey

import (
	"slices"
	"strings"
)

// MaxScope is the longest scope, in bytes.
const MaxScope = 64

// CheckScope reports whether s can be a scope: 1 to 64 of a-z, 0-9 and ._:*-,
// with * only as the whole scope or as its last part after a colon.
func CheckScope(s string) bool {
	if s == "" || len(s) > MaxScope {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("._:*-", rune(c)) {
			return false
		}
	}
	if star := strings.IndexByte(s, '*'); star >= 0 {
		return s == "*" || star == len(s)-1 && s[star-1] == ':' && star > 1
	}
	return true
}

// ScopeCovers reports whether holding have grants want: they are the same, have
// is "*", or have is "a:*" and want starts with "a:".
func ScopeCovers(have, want string) bool {
	if have == want || have == "*" {
		return true
	}
	return strings.HasSuffix(have, ":*") && strings.HasPrefix(want, have[:len(have)-1])
}

// Covers reports whether one of the scopes in the list grants want.
func (l Strings) Covers(want string) bool {
	for have := range l.All() {
		if ScopeCovers(have, want) {
			return true
		}
	}
	return false
}

// Intersect returns the scopes that both lists grant: what of the one the
// other covers, and the reverse, without repetition. An empty bound is none:
// everything in scopes is granted.
func Intersect(scopes, bound []string) []string {
	if len(bound) == 0 {
		return scopes
	}
	both := []string{}
	add := func(candidates, other []string) {
		for _, c := range candidates {
			if coveredBy(c, other) && !slices.Contains(both, c) {
				both = append(both, c)
			}
		}
	}
	add(scopes, bound)
	add(bound, scopes)
	return both
}

// Within reports whether a bound of before still lets everything through after
// it became after.
func Within(before, after []string) bool {
	if len(after) == 0 {
		return true
	}
	if len(before) == 0 {
		return slices.Contains(after, "*")
	}
	for _, s := range before {
		if !coveredBy(s, after) {
			return false
		}
	}
	return true
}

func coveredBy(scope string, bound []string) bool {
	for _, have := range bound {
		if ScopeCovers(have, scope) {
			return true
		}
	}
	return false
}
