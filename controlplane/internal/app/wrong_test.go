package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

const wrongFile = "testdata/wrong.golden"

const wrongHead = `# What callers are told about values of the wrong form, and in Spanish. Made by
# TestWrongValuesInWords from the OpenAPI document; LATCHKEY_TEST_GOLDEN=1 writes it anew.

`

// jargon is what only those understand who know what this is written in.
var jargon = regexp.MustCompile(`(?i)expected|invalid|json:|marshal|schema|propert|\bgolang\b|date-time|\bint(32|64)?\b|float|2006|%!|\d e[+]?\d|RFC [^3]|\^|\\$`)

// Whatever breaks the form that the document asks for is told in words that say
// what would be right, in both languages.
func TestWrongValuesInWords(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, pgtest.DSN(t)))
	w := &wrongs{stage: s, said: map[string]string{}}
	for _, o := range s.operations {
		examples, err := s.examples(o)
		if err != nil {
			t.Fatal(err)
		}
		by := &actor{bearer: s.admin}
		switch {
		case strings.HasPrefix(o.Path, "/v1/keys/self"):
			by = s.key()
		case !o.takes("managementKey") && o.takes("session"):
			by = s.signIn(access.Owner)
		}
		q := s.exemplary(o, examples[slices.Sorted(maps.Keys(examples))[0]], by)
		w.address(q)
		if media := o.body(); media != nil {
			w.body(q, media)
		} else if o.Method != http.MethodGet {
			w.send(q, broken{"a body", func(q *request) { q.raw = `{"unknown":1}` }})
		}
	}
	table := strings.Builder{}
	table.WriteString(wrongHead)
	for _, english := range slices.Sorted(maps.Keys(w.said)) {
		if jargon.MatchString(english) {
			t.Errorf("%q is not in the words of this API", english)
		}
		if w.said[english] == english {
			t.Errorf("%q is said in English in a Spanish problem", english)
		}
		fmt.Fprintf(&table, "%s\n    %s\n", english, w.said[english])
	}
	compareGolden(t, wrongFile, table.String())
}

// wrongs gathers what is said about wrong values, with the Spanish of it.
type wrongs struct {
	*stage
	said map[string]string
}

// send sends a request that is wrong, once in each language.
func (w *wrongs) send(q *request, way broken) {
	w.t.Helper()
	broken := *q
	broken.query, broken.header = maps.Clone(q.query), maps.Clone(q.header)
	way.apply(&broken)
	english := w.errors(&broken)
	if len(english) == 0 {
		return // it was not wrong after all
	}
	broken.header["Accept-Language"] = "es"
	spanish := w.errors(&broken)
	if len(spanish) != len(english) {
		w.t.Fatalf("%s %s: %v, and in Spanish %v", q.op.ID, way.name, english, spanish)
	}
	for i, e := range english {
		w.said[e] = spanish[i]
	}
}

func (w *wrongs) errors(q *request) (messages []string) {
	w.t.Helper()
	a := w.ask(q)
	if a.status >= 500 {
		w.t.Errorf("%s: %d %s", q.op.ID, a.status, a.raw)
	}
	list, _ := a.get("errors").([]any)
	for _, e := range list {
		messages = append(messages, e.(map[string]any)["message"].(string))
	}
	return messages
}

// address breaks each parameter.
func (w *wrongs) address(q *request) {
	w.send(q, broken{"an unknown parameter", func(q *request) { q.query.Set("unknown", "1") }})
	w.send(q, broken{"a parameter twice", func(q *request) { q.query["unknown"] = []string{"1", "1"} }})
	for _, p := range q.op.Parameters {
		if p.In != "query" {
			continue
		}
		s := w.resolved(p.Schema)
		texts := []string{"text", "1.5", "99999999999999999999", "-1", "Ü", "2026-01-31", "2026-01-31T00:00:00+01:00 "}
		if s.MaxLength != nil {
			texts = append(texts, strings.Repeat("x", *s.MaxLength+1))
		}
		if s.Maximum != nil {
			texts = append(texts, fmt.Sprint(*s.Maximum+1))
		}
		for _, text := range texts {
			w.send(q, set(p, text))
		}
		if p.Required {
			w.send(q, broken{"without " + p.Name, func(q *request) { q.query.Del(p.Name) }})
		}
	}
}

// body breaks the body as a whole, and each of its members.
func (w *wrongs) body(q *request, media *media) {
	good := q.text(w.t)
	for _, raw := range []string{"null", "[]", "7", good + "{}", good[:len(good)/2], strings.Repeat("[", 100), `{"a":1,"a":1}`, `{"unknown":1}`, "{}", "{\"a\":\"\xff\"}", `{"a":"\u0000"}`, `{"a":1e400}`} {
		w.send(q, broken{raw, func(q *request) { q.raw = raw }})
	}
	(&breaker{stage: w.stage}).walk(media.Schema, nil, 0, func(path []string, s *schema) {
		s = w.resolved(s)
		values := []any{nil, true, 7, "text", "", []any{}, []any{nil}, map[string]any{}, json.Number("1.5"), json.Number("1.0"), json.Number("1e300"), "2026-01-31", "2026-01-31T1:00:00Z"}
		for _, limit := range []*int{s.MinLength, s.MaxLength} {
			if limit != nil {
				values = append(values, strings.Repeat("x", max(0, *limit-1)), strings.Repeat("x", *limit+1))
			}
		}
		for _, limit := range []*float64{s.Minimum, s.Maximum} {
			if limit != nil {
				values = append(values, *limit-1, *limit+1)
			}
		}
		if s.MaxItems != nil {
			values = append(values, repeated("x", *s.MaxItems+1))
		}
		for _, value := range values {
			w.send(q, broken{fmt.Sprintf("%v = %.40v", path, value), func(q *request) { q.body = put(q.body, path, value, false) }})
		}
		w.send(q, broken{fmt.Sprintf("no %v", path), func(q *request) { q.body = put(q.body, path, nil, true) }})
	})
}
