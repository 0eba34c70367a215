package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// GuardParameters lets a request through to next only where its path and its query
// are text once they are decoded: UTF-8 without NUL. No text in the database
// holds anything else, so nothing could be found by it. A query must be whole,
// with each parameter once and none empty: a filter that was dropped unsaid would
// leave more than was asked for. So must the headers that a change depends on.
// Like GuardJSON it belongs around a route's handler.
func GuardParameters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := NewProblem(Code(fault.CodeInvalid))
		if !isText(r.URL.Path) {
			p = p.At("path", notText)
		}
		p = guardHeaders(guardQuery(p, r.URL.RawQuery), r.Header)
		if len(p.Errors) > 0 {
			WriteProblem(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

const (
	notText = "want UTF-8 without NUL, encoded as in a URI"
	noValue = "want a value; leave it out where there is none"
	once    = "want it once"
)

// guardQuery notes what is wrong with a query. A semicolon, which once separated
// parameters, makes net/url drop the one that it stands in.
func guardQuery(p *Problem, raw string) *Problem {
	query, err := url.ParseQuery(raw)
	ok := err == nil
	for name, values := range query {
		ok = ok && isText(name)
		for _, v := range values {
			ok = ok && isText(v)
			if v == "" && PlainName(name) {
				p = p.At("query."+name, noValue)
			}
		}
		if len(values) > 1 && PlainName(name) {
			p = p.At("query."+name, once)
		}
	}
	if !ok {
		p = p.At("query", notText)
	}
	return p
}

// guardHeaders notes what else would be dropped: without it a change would be made
// over another one, or twice.
func guardHeaders(p *Problem, h http.Header) *Problem {
	for _, name := range [...]string{"Idempotency-Key", "If-Match"} {
		switch values := h[name]; {
		case len(values) > 1:
			p = p.At("header."+name, once)
		case len(values) == 1 && values[0] == "":
			p = p.At("header."+name, noValue)
		}
	}
	return p
}

// NoQuery lets a request through to next only where its address has no
// parameters, for a route that takes none: one that was dropped unsaid, such as
// ?scopes= at a door, would be a condition that nobody asks about.
func NoQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			next.ServeHTTP(w, r)
			return
		}
		p := NewProblem(Code(fault.CodeInvalid))
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			p = p.At("query", notText)
		}
		for _, name := range slices.Sorted(maps.Keys(query)) {
			location := "query"
			if PlainName(name) { // else it may be anything, a key too
				location += "." + name
			}
			p = p.At(location, noParameter)
		}
		if len(p.Errors) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		WriteProblem(w, r, p)
	})
}

const noParameter = "there is no such parameter"

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }
