package web

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// GuardAddress lets a request through to next only where its path and its query
// are text once they are decoded: UTF-8 without NUL. No text in the database
// holds anything else, so nothing could be found by it. Like GuardJSON it belongs
// around a route's handler.
func GuardAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.QueryUnescape(r.URL.RawQuery)
		for _, part := range [...]struct {
			location string
			ok       bool
		}{{"path", isText(r.URL.Path)}, {"query", err == nil && isText(query)}} {
			if !part.ok {
				WriteProblem(w, r, NewProblem(Code(fault.CodeInvalid)).At(part.location, "want UTF-8 without NUL, encoded as in a URI"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }
