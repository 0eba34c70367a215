package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

const matrixFile = "testdata/permissions.golden"

const matrixHead = `# Who may do what. Made by TestPermissions from the OpenAPI document, whose examples
# everybody sends; LATCHKEY_TEST_GOLDEN=1 writes it anew.
#
# with: a management key with exactly the scope, the first of several, or * where
# none is named. others: a management key with every other scope. setup: the set-up
# token while its window is open. apikey: an API key. ok: it was carried out (2xx).
`

// columns are the callers, in the order of the table.
var columns = []string{"nobody", "member", "viewer", "operator", "admin", "owner", "with", "others", "setup", "apikey"}

// Every operation of the document, as its examples show it, is asked for by
// everybody there is. Operations come into the table by themselves.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, pgtest.DSN(t)))
	opened := newWindow(t)
	cast := newCast(s)
	var table strings.Builder
	fmt.Fprintf(&table, "%s\n%-46s", matrixHead, "operation")
	for _, c := range columns {
		fmt.Fprintf(&table, " %-8s", c)
	}
	table.WriteString(" scope")
	for _, o := range s.operations {
		examples, err := s.examples(o)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(examples)) {
			row := o.Method + " " + o.Path
			if name != "" {
				row += " (" + name + ")"
			}
			fmt.Fprintf(&table, "\n%-46s", row)
			for _, c := range columns {
				var a answer
				if c == "setup" {
					a = opened.ask(o, examples[name])
				} else {
					a = s.ask(s.exemplary(o, examples[name], cast.actor(c, o)))
				}
				if err := s.describes(o, a); err != nil {
					t.Errorf("%s by %s: %d is not as described: %v", row, c, a.status, err)
				}
				fmt.Fprintf(&table, " %-8s", classOf(t, row+" by "+c, a))
			}
			table.WriteString(" " + strings.Join(o.scopes(), " or "))
		}
	}
	compareGolden(t, matrixFile, table.String())
}

// compareGolden compares with the file, or writes it where that is asked for.
func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(got, "\n") {
		lines = append(lines, strings.TrimRight(line, " "))
	}
	got = strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
	if os.Getenv("LATCHKEY_TEST_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s has changed (LATCHKEY_TEST_GOLDEN=1 accepts it):\n%s", file, diff)
	}
}

// classOf is an answer in a word. An example that cannot be carried out by
// whoever may do so is no example.
func classOf(t *testing.T, what string, a answer) string {
	t.Helper()
	switch {
	case a.status >= 200 && a.status < 300:
		return "ok"
	case a.status == 401, a.status == 403, a.status == 404:
		return fmt.Sprint(a.status)
	}
	t.Errorf("%s: the example does not work: %d %s", what, a.status, a.raw)
	return fmt.Sprint(a.status)
}

// cast are the callers of the table.
type cast struct {
	*stage
	known map[string]*actor
}

func newCast(s *stage) *cast { return &cast{stage: s, known: map[string]*actor{}} }

// actor returns who stands in a column. What an operation does to its own caller
// is done to one that is made for it.
func (c *cast) actor(column string, o *operation) *actor {
	switch column {
	case "nobody":
		return &actor{}
	case "apikey":
		return c.key()
	case "with", "others":
		scopes := []access.Scope{access.All}
		if needed := o.scopes(); column == "others" {
			scopes = slices.DeleteFunc(slices.Clone(access.Scopes), func(s access.Scope) bool {
				return s == access.All || slices.Contains(needed, string(s))
			})
		} else if len(needed) > 0 {
			scopes = []access.Scope{access.Scope(needed[0])}
		}
		return c.once(fmt.Sprint(scopes), func() *actor { return c.holding(scopes...) })
	}
	role := access.Role(column)
	if o.Method != http.MethodGet && (strings.HasPrefix(o.Path, "/auth/") || strings.HasPrefix(o.Path, "/api/v1/me")) {
		return c.signIn(role)
	}
	return c.once(column, func() *actor { return c.signIn(role) })
}

func (c *cast) once(name string, hire func() *actor) *actor {
	if c.known[name] == nil {
		c.known[name] = hire()
	}
	return c.known[name]
}

// window is a replica that is not set up yet. What closes its window is done to
// one that is thrown away.
type window struct {
	t *testing.T
	*stage
}

func newWindow(t *testing.T) *window { return &window{t: t} }

// ask sends an example with the set-up token; the things that it names are not
// there.
func (v *window) ask(o *operation, example any) answer {
	if v.stage == nil {
		v.stage = &stage{replica: start(v.t, pgtest.DSN(v.t)), document: readDocument(v.t)}
	}
	token, ok, err := v.app.Bootstrap.Token(v.t.Context())
	if err != nil || !ok {
		v.t.Fatal(ok, err)
	}
	q := &request{op: o, by: &actor{bearer: token.Reveal()}, path: map[string]string{}, query: url.Values{}, body: example}
	v.document.needed(q)
	before := ""
	for part := range strings.SplitSeq(o.Path, "/") {
		if name, found := strings.CutPrefix(part, "{"); found {
			q.path[strings.TrimSuffix(name, "}")] = kinds[before] + "_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"
		}
		before = part
	}
	a := v.stage.ask(q)
	if _, open, err := v.app.Bootstrap.Token(v.t.Context()); err != nil {
		v.t.Fatal(err)
	} else if !open {
		v.stage.stop()
		v.stage = nil
	}
	return a
}
