package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// Every member and every parameter of the document is fed each of its limits and
// one past it, and every type that it is not of. What breaks a rule is refused
// under the field's name, with nothing done; a limit itself breaks none.
func TestEveryFieldAtItsLimits(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, pgtest.DSN(t)))
	f := newFeeder(s)
	fields := 0
	for _, o := range s.operations {
		for _, p := range f.places(o) {
			f.feed(o, p)
			fields++
		}
	}
	t.Logf("%d fields of %d operations: %d requests were carried out, %d refused", fields, len(s.operations), f.carriedOut, f.refused)
	if f.carriedOut == 0 || f.refused < fields {
		t.Error("hardly anything was fed")
	}
}

// What can be edited has the limits in the document that it has at its making.
func TestEditsHaveTheLimitsOfMakings(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	bodies := map[string]*schema{}
	for _, o := range d.operations {
		if m := o.body(); m != nil {
			bodies[o.Method+" "+o.Path] = d.resolved(m.Schema)
		}
	}
	compared := 0
	for address, edit := range bodies {
		making := bodies[strings.Replace(strings.TrimSuffix(address, "/{id}"), "PATCH", "POST", 1)]
		if making == nil || !strings.HasPrefix(address, "PATCH") {
			continue
		}
		for name, member := range edit.Properties {
			made := making.Properties[name]
			if made == nil {
				continue
			}
			compared++
			limits := func(s *schema) []any {
				s = d.resolved(s)
				values := slices.DeleteFunc(slices.Clone(s.Enum), func(v any) bool { return v == nil })
				return []any{s.MinLength, s.MaxLength, s.Minimum, s.Maximum, s.MinItems, s.MaxItems, s.Format, fmt.Sprint(values)}
			}
			if diff := cmp.Diff(limits(made), limits(member)); diff != "" {
				t.Errorf("%s: %s: %s", address, name, diff)
			}
		}
	}
	if compared < 30 {
		t.Errorf("only %d members were compared", compared)
	}
}

// feeder feeds values to the fields of operations.
type feeder struct{ *generator }

func newFeeder(s *stage) *feeder {
	return &feeder{&generator{breaker: newBreaker(s, rand.New(rand.NewPCG(1, 1))), cast: newCast(s)}}
}

// place is a field: a member of the body, by its path, or a parameter.
type place struct {
	in   string
	path []string
	*schema
}

// at is how problems name the place.
func (p place) at() string {
	return strings.ReplaceAll(p.in+"."+strings.Join(p.path, "."), ".0", "[0]")
}

func (p place) put(q *request, value any) {
	switch p.in {
	case "body":
		q.body = put(q.body, p.path, value, false)
	case "query":
		q.query.Set(p.path[0], fmt.Sprint(value))
	case "header":
		q.header[p.path[0]] = fmt.Sprint(value)
	}
}

// places are the fields of an operation whose values the document bounds: what
// ids and versions name is another matter, see TestIDsThatNameNothing.
func (f *feeder) places(o *operation) (all []place) {
	if m := o.body(); m != nil {
		f.walk(m.Schema, nil, 0, func(path []string, s *schema) { all = append(all, place{"body", path, f.resolved(s)}) })
	}
	for _, p := range o.Parameters {
		if p.In != "path" && !strings.HasPrefix(p.Name, "If-") {
			all = append(all, place{p.In, []string{p.Name}, f.resolved(p.Schema)})
		}
	}
	return all
}

// feed feeds a place of an operation, in a request as an example that has it.
func (f *feeder) feed(o *operation, p place) {
	examples, err := f.examples(o)
	if err != nil {
		f.t.Fatal(err)
	}
	name := slices.Sorted(maps.Keys(examples))[0]
	for other, example := range examples {
		if body, ok := example.(map[string]any); ok && body[p.path[0]] != nil {
			name = other
		}
	}
	good := f.exemplary(o, examples[name], f.callerOf(o))
	try := func(value any) (answer, []string) {
		q := *good
		q.query, q.header = maps.Clone(good.query), maps.Clone(good.header)
		p.put(&q, value)
		text, _ := json.Marshal(value)
		a := f.judge(&q, fmt.Sprintf("%s = %.60s", p.at(), text))
		if a.status < 400 { // what was there may have changed with it
			good = f.exemplary(o, examples[name], f.callerOf(o))
		}
		return a, messagesAt(a, p.at())
	}
	for _, c := range f.cases(p) {
		a, said := try(c.wrong)
		if a.status != 422 || len(said) == 0 {
			text, _ := json.Marshal(c.wrong)
			f.t.Errorf("%s: %s = %.60s is not refused by its name: %d %.300s", o.ID, p.at(), text, a.status, a.raw)
		}
		if c.right == nil {
			continue
		}
		if _, also := try(c.right); slices.ContainsFunc(also, func(m string) bool { return slices.Contains(said, m) }) {
			text, _ := json.Marshal(c.right)
			f.t.Errorf("%s: %s = %.60s is at its limit, and refused: %v", o.ID, p.at(), text, also)
		}
	}
}

// messagesAt is what a problem says about a place, or about what is in it.
func messagesAt(a answer, at string) (messages []string) {
	all, _ := a.get("errors").([]any)
	for _, one := range all {
		e, _ := one.(map[string]any)
		location, _ := e["location"].(string)
		if rest, found := strings.CutPrefix(location, at); found && (rest == "" || rest[0] == '[' || rest[0] == '.') {
			messages = append(messages, fmt.Sprint(e["message"]))
		}
	}
	return messages
}

// fed is a value past a limit, with the limit itself where there is one.
type fed struct{ wrong, right any }

// cases are what a place is fed.
func (f *feeder) cases(p place) (all []fed) {
	if p.in == "body" {
		all = f.ofOtherTypes(p.schema)
	} else if !isOf(p.schema, "string") || p.Format == "date-time" {
		all = append(all, fed{wrong: "text"})
	}
	if len(p.Enum) > 0 {
		all = append(all, fed{"none-of-them", p.Enum[0]})
	}
	for n, past := range limitsOf(p.MinLength, p.MaxLength) {
		if past > 0 || past == 0 && p.in == "body" { // an empty parameter is as good as none
			all = append(all, fed{f.text(p, past), f.text(p, n)})
		}
	}
	for n, past := range limitsOf(p.Minimum, p.Maximum) {
		all = append(all, fed{json.Number(fmt.Sprintf("%.0f", past)), json.Number(fmt.Sprintf("%.0f", n))})
	}
	item, ok := f.example(&schema{Items: p.Items})
	if list, _ := item.([]any); ok && len(list) > 0 {
		item = f.realised(list[0], "", &actor{})
	}
	for n, past := range limitsOf(p.MinItems, p.MaxItems) {
		if past >= 0 {
			all = append(all, fed{repeated(item, past), repeated(item, n)})
		}
	}
	return all
}

// text is a text of a length that is good otherwise, as far as the example tells.
func (f *feeder) text(p place, length int) string {
	value, _ := f.example(p.schema)
	example, _ := value.(string)
	padding := strings.Repeat("a", max(0, length-len(example)))
	switch {
	case len(example) > length:
		return strings.Repeat("a", length)
	case strings.HasPrefix(example, "/"):
		return example + padding
	}
	return padding + example
}

// limitsOf are the limits that there are, each with what is one past it.
func limitsOf[N int | float64](least, most *N) map[N]N {
	all := map[N]N{}
	if least != nil {
		all[*least] = *least - 1
	}
	if most != nil {
		all[*most] = *most + 1
	}
	return all
}

// ofOtherTypes are a value of every JSON type that is none of the schema's.
func (f *feeder) ofOtherTypes(s *schema) (all []fed) {
	for name, value := range map[string]any{"boolean": true, "integer": 7, "number": 1.5, "string": "text", "array": []any{}, "object": map[string]any{}} {
		if !isOf(s, name) && !(name == "integer" && isOf(s, "number")) || name == "string" && s.Format == "date-time" {
			all = append(all, fed{wrong: value})
		}
	}
	return all
}

func isOf(s *schema, name string) bool {
	switch types := s.Type.(type) {
	case string:
		return types == name
	case []any:
		return slices.Contains(types, any(name))
	}
	return true // any
}
