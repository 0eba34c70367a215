package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

// breaker makes requests out of good ones: at their limits, and past them.
type breaker struct {
	*stage
	secret string            // a good key, which no refusal may repeat
	gone   map[string]string // ids of things that were deleted or have ended, by kind
	others map[string]string // ids of every kind, of things that are there
	random *rand.Rand
}

// broken is one way to change a request, in words.
type broken struct {
	name  string
	apply func(*request)
}

func newBreaker(s *stage, random *rand.Rand) *breaker {
	b := &breaker{stage: s, secret: s.key().bearer, gone: map[string]string{}, others: map[string]string{}, random: random}
	by := &actor{}
	for _, kind := range []string{"usr", "pln", "sub", "key", "ses"} {
		b.others[kind] = s.make(kind, by)
		b.gone[kind] = s.make(kind, by)
	}
	s.call(s.admin, "DELETE", "/api/v1/keys/"+b.gone["key"], nil, http.StatusNoContent)
	s.call(s.admin, "DELETE", "/api/v1/sessions/"+b.gone["ses"], nil, http.StatusNoContent)
	s.call(s.admin, "PATCH", "/api/v1/users/"+b.gone["usr"], m{"disabled": true}, http.StatusOK)
	s.call(s.admin, "PATCH", "/api/v1/plans/"+b.gone["pln"], m{"archived": true}, http.StatusOK)
	s.call(s.admin, "PATCH", "/api/v1/subscriptions/"+b.gone["sub"], m{"status": "ended"}, http.StatusOK)
	return b
}

// texts are strings for wherever a string may stand.
func (b *breaker) texts(s *schema) []string {
	all := []string{
		"", " ", "x", "\u0000", "a\u0000b", "\xff", "\u0007", "a\nb", "é\u0301 \U0001F511 \u202e", "'; DROP TABLE keys; --", "%00%s${x}{{1}}", `\`, "%", "_",
		strings.Repeat("x", 10_000), b.secret, "lkm_" + b.secret[8:], "Bearer " + b.secret, "null", "true", "-1", "0",
		"key_0190c2f57d3a7c3e8f5a2b6d1c9e4a70", "usr_", "pln_zzz", "USR_0190C2F57D3A7C3E8F5A2B6D1C9E4A70", "00000000-0000-7000-8000-000000000001",
		"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00+23:59",
		"-0001-01-01T00:00:00Z", "2262-04-12T00:00:00Z", "1e400", "99999999999999999999", "0.5", "::1", "10.0.0.0/33", "::ffff:1.2.3.4/24", "fe80::1%eth0/64",
		"a:*", "*", "a:*:b", "*:*", "GET", "get", "/", "//", "/a/../b", "/%2e%2e", "/*", "{}", "[]", "bnVsbA", "MS4x", "eyJzIjoiIn0",
	}
	for _, kind := range slices.Sorted(maps.Keys(b.others)) {
		all = append(all, b.gone[kind], b.others[kind])
	}
	for _, e := range s.Enum {
		if text, ok := e.(string); ok {
			all = append(all, text, strings.ToUpper(text), text+"x")
		}
	}
	for _, limit := range []*int{s.MinLength, s.MaxLength} {
		if limit != nil {
			for _, n := range []int{*limit - 1, *limit, *limit + 1} {
				all = append(all, strings.Repeat("a", max(n, 0)), strings.Repeat("ü", max(n, 0)))
			}
		}
	}
	return all
}

// values are JSON values for a member.
func (b *breaker) values(s *schema) []any {
	s = b.resolved(s)
	all := []any{nil, true, 7, "text", []any{}, map[string]any{}, []any{nil}, map[string]any{"a": []any{"\u0000"}}, map[string]any{"\u0000": 1}}
	for _, number := range []string{"0", "-1", "1.5", "1e3", "1e308", "1e400", "-0", "9223372036854775807", "9223372036854775808", "99999999999999999999999", "2147483648"} {
		all = append(all, json.Number(number))
	}
	for _, limit := range []*float64{s.Minimum, s.Maximum} {
		if limit != nil {
			all = append(all, *limit-1, *limit, *limit+1)
		}
	}
	for _, text := range b.texts(s) {
		all = append(all, text)
	}
	if s.Items != nil {
		for _, text := range b.texts(b.resolved(s.Items)) {
			all = append(all, []any{text})
		}
		item, ok := b.example(s.Items)
		if ok {
			item = b.realised(item, "", &actor{})
			all = append(all, []any{item, item}, []any{item, nil}, []any{item, 7})
		}
		for _, limit := range []*int{s.MinItems, s.MaxItems} {
			if limit != nil {
				for _, n := range []int{*limit - 1, *limit, *limit + 1} {
					all = append(all, repeated(item, max(n, 0)))
				}
			}
		}
	}
	return append(all, map[string]any{"a": strings.Repeat("x", 4096)}, nested(64))
}

// repeated is a list of n, which differ where they are texts.
func repeated(one any, n int) []any {
	list := make([]any, n)
	for i := range list {
		if list[i] = one; one == nil || fmt.Sprintf("%T", one) == "string" {
			list[i] = fmt.Sprintf("%v%d", one, i)
		}
	}
	return list
}

func nested(depth int) any {
	var v any = "deep"
	for range depth {
		v = []any{v}
	}
	return v
}

// breaks are the places of a request that can be broken. Each draws a way.
func (b *breaker) breaks(q *request) []func() broken {
	var all []func() broken
	if media := q.op.body(); media != nil {
		all = append(all, func() broken { return one(b, b.bodies(q)) })
		b.walk(media.Schema, nil, 0, func(path []string, s *schema) {
			all = append(all, func() broken { return b.member(path, s) })
		})
	}
	for _, p := range q.op.Parameters {
		all = append(all, func() broken { return set(p, one(b, b.texts(b.resolved(p.Schema)))) })
	}
	return append(all, func() broken { return one(b, b.surroundings()) })
}

// one draws from a list.
func one[T any](b *breaker, list []T) T { return list[b.random.IntN(len(list))] }

// surroundings are what is wrong around a request, or only odd.
func (b *breaker) surroundings() []broken {
	all := []broken{{"an unknown query parameter", func(q *request) { q.query.Set("unknown", b.secret) }}}
	for name, values := range map[string][]string{
		"Accept":          {"text/html", "application/cbor", "*/*;q=0", "x", b.secret},
		"Accept-Language": {"es", "zz-ZZ;q=2", strings.Repeat("en,", 3000)},
		"If-Match":        {`"0"`, `"-1"`, `"1"`, `W/"1"`, `*`, `"99999999999999999999"`, `"x"`, `x`, `"1", "2"`},
		"Range":           {"bytes=0-1", "bytes=5-1", "x"},
		"Cache-Control":   {"no-cache", "max-age=0, no-cache"},
	} {
		for _, value := range values {
			all = append(all, broken{name + ": " + value, func(q *request) { q.header[name] = value }})
		}
	}
	slices.SortFunc(all, byName)
	return all
}

func byName(x, y broken) int { return strings.Compare(x.name, y.name) }

// set puts a text where a parameter stands. What no address or header can hold is
// left as it was.
func set(p parameter, text string) broken {
	return broken{fmt.Sprintf("%s %s = %.40q", p.In, p.Name, text), func(q *request) {
		switch p.In {
		case "query":
			q.query.Set(p.Name, text)
		case "path":
			if strings.Trim(text, "./") != "" && !strings.Contains(text, "//") && !strings.Contains(text, "/..") && len(text) < 2000 {
				q.path[p.Name] = text
			}
		case "header":
			if !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
				q.header[p.Name] = text
			}
		}
	}}
}

// bodies are bodies that are wrong as a whole.
func (b *breaker) bodies(q *request) []broken {
	good := q.text(b.t)
	all := []broken{{"no body", func(q *request) { q.body = nil }}}
	for name, raw := range map[string]string{
		"null": "null", "a list": "[]", "a text": `"` + b.secret + `"`, "a number": "7", "an empty object": "{}", "torn": good[:len(good)/2],
		"trailing": good + "{}", "no UTF-8": "{\"name\":\"" + b.secret + "\xff\"}", "only a blank": " ", "a lone surrogate": `{"name":"\ud800"}`,
		"deep": strings.Repeat("[", 100_000), "deep objects": strings.Repeat(`{"a":`, 100_000), "2 MiB": `{"name":"` + strings.Repeat("x", 2<<20) + `"}`,
		"a secret as a name": `{"` + b.secret + `":1}`, "twice the same": strings.Replace(good, "{", `{"name":"a","name":"b",`, 1), "BOM": "\ufeff" + good,
	} {
		all = append(all, broken{"body: " + name, func(q *request) { q.raw = raw }})
	}
	for _, mediaType := range []string{
		"", "text/plain", "application/json; charset=utf-8", "application/merge-patch+json", "application/x-www-form-urlencoded",
		"multipart/form-data", ";", "application/json, text/plain",
	} {
		all = append(all, broken{"Content-Type: " + mediaType, func(q *request) { q.header["Content-Type"] = mediaType }})
	}
	slices.SortFunc(all, byName)
	return all
}

// member draws a change of a member: another value, none, or one beside it that
// is unknown.
func (b *breaker) member(path []string, s *schema) broken {
	switch b.random.IntN(20) {
	case 0:
		return broken{"no " + strings.Join(path, "."), func(q *request) { q.body = put(q.body, path, nil, true) }}
	case 1:
		beside := append(slices.Clone(path[:len(path)-1]), "unknown_member")
		return broken{strings.Join(beside, "."), func(q *request) { q.body = put(q.body, beside, b.secret, false) }}
	}
	value := one(b, b.values(s))
	text, _ := json.Marshal(value)
	return broken{fmt.Sprintf("%s = %.60s", strings.Join(path, "."), text), func(q *request) { q.body = put(q.body, path, value, false) }}
}

// walk visits every member of a schema; "0" stands for the items of a list.
func (b *breaker) walk(s *schema, path []string, depth int, visit func([]string, *schema)) {
	s = b.resolved(s)
	if depth > 4 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		at := append(slices.Clone(path), name)
		visit(at, s.Properties[name])
		b.walk(s.Properties[name], at, depth+1, visit)
	}
	if s.Items != nil && b.resolved(s.Items).Properties != nil {
		b.walk(s.Items, append(slices.Clone(path), "0"), depth+1, visit)
	}
}

// put returns value with a member set or removed, and copies what it changes.
func put(value any, path []string, to any, remove bool) any {
	if len(path) == 0 {
		return to
	}
	if list, ok := value.([]any); ok && path[0] == "0" {
		if len(list) == 0 {
			return value
		}
		list = slices.Clone(list)
		list[0] = put(list[0], path[1:], to, remove)
		return list
	}
	object, ok := value.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	if object = maps.Clone(object); remove && len(path) == 1 {
		delete(object, path[0])
		return object
	}
	object[path[0]] = put(object[path[0]], path[1:], to, remove)
	return object
}
