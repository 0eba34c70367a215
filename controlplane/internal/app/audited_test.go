package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

const auditedFile = "testdata/audited.golden"

const auditedHead = `# What each operation leaves in the audit log when its examples are carried out. Made
# by TestEveryChangeIsAudited; LATCHKEY_TEST_GOLDEN=1 writes it anew.

`

// silent are the operations that are no GET and yet only judge or read.
var silent = map[string]string{
	"authenticate": "judges a key",
	"verify":       "judges keys",
	"explain":      "judges a key",
	"lookup-key":   "reads",
}

// Every operation that changes something leaves an audit event under its request
// id, and no other operation does.
func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, pgtest.DSN(t)))
	cast := newCast(s)
	table := strings.Builder{}
	table.WriteString(auditedHead)
	for _, o := range s.operations {
		examples, err := s.examples(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(examples)) {
			column := "owner"
			if strings.HasPrefix(o.Path, "/v1/keys/self") {
				column = "apikey"
			}
			if o.Path == "/auth/v1/setup" {
				continue // it has an instance of its own: TestTheSetUpIsAudited
			}
			a := s.ask(s.exemplary(o, examples[name], cast.actor(column, o)))
			if a.status >= 300 {
				t.Errorf("%s %s: %d %s", o.Method, o.Path, a.status, a.raw)
			}
			actions := map[string]int{}
			page := s.call(s.admin, "GET", "/api/v1/audit-events?request_id="+url.QueryEscape(a.header.Get("X-Request-Id")), nil, 200)
			for _, e := range page.get("data").([]any) {
				actions[answer{body: e.(map[string]any)}.text("action")]++
			}
			if quiet := o.Method == http.MethodGet || silent[o.ID] != ""; quiet != (len(actions) == 0) {
				t.Errorf("%s %s (%s) leaves %v", o.Method, o.Path, o.ID, actions)
			}
			if len(actions) > 0 {
				row := o.Method + " " + o.Path
				if name != "" {
					row += " (" + name + ")"
				}
				fmt.Fprintf(&table, "%-56s %s\n", row, strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
			}
		}
	}
	compareGolden(t, auditedFile, table.String())
}
