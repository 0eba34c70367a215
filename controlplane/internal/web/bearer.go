package web

import (
	"net/http"
	"strings"
)

// BearerState says what the Authorization header of a request holds.
type BearerState uint8

// The states. Malformed stands for another scheme too: a credential was
// presented, and none that is understood here.
const (
	BearerMissing BearerState = iota
	BearerPresent
	BearerMalformed
	BearerRepeated // more than one header: which one counts is for nobody to guess
)

// BearerToken reads the credential of a request (RFC 6750, section 2.1). The
// token is empty in every state but BearerPresent, and is what the client sent:
// it was not judged.
func BearerToken(r *http.Request) (token string, state BearerState) {
	headers := r.Header["Authorization"]
	switch len(headers) {
	case 0:
		return "", BearerMissing
	case 1:
	default:
		return "", BearerRepeated
	}
	scheme, token, found := strings.Cut(headers[0], " ")
	token = strings.TrimLeft(token, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || !b64token(token) {
		return "", BearerMalformed
	}
	return token, BearerPresent
}

// b64token is the grammar of RFC 6750: letters, digits and -._~+/, then "=".
func b64token(token string) bool {
	body := strings.TrimRight(token, "=")
	if body == "" {
		return false
	}
	for i := range len(body) {
		c := body[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return true
}
