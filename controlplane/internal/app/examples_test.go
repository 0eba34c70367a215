package app_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/web"
)

// Every answer that the document shows has the shape that it says; every refusal
// shows each of its codes, with the status under which it stands, and every code
// that any operation answers is in the catalogue.
func TestExamplesOfAnswers(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	shown := componentExamples(t)
	for _, o := range d.operations {
		for status, response := range o.Responses {
			for mediaType, m := range response.Content {
				if mediaType != "application/json" && mediaType != web.ProblemType {
					continue
				}
				place := []string{"paths", o.Path, strings.ToLower(o.Method), "responses", status, "content", mediaType, "schema"}
				values := map[string]any{}
				if m.Example != nil {
					values["example"] = m.Example
				}
				for name, e := range m.Examples {
					values[name] = e.Value
					if e.Ref != "" {
						values[name] = shown[strings.TrimPrefix(e.Ref, "#/components/examples/")]
					}
				}
				for name, value := range values {
					if err := d.fits(textOf(t, value), place...); err != nil {
						t.Errorf("%s %s %s: %v", o.ID, status, name, err)
					}
				}
				if mediaType != web.ProblemType {
					continue
				}
				if len(m.Examples) == 0 {
					t.Errorf("%s %s: no code is named", o.ID, status)
				}
				for _, code := range slices.Sorted(maps.Keys(m.Examples)) {
					if _, known := web.Lookup(web.Code(code)); !known || !strings.Contains(response.Description, "`"+code+"`") {
						t.Errorf("%s %s: %s is unknown, or not in %q", o.ID, status, code, response.Description)
					}
				}
			}
		}
	}
}

// componentExamples are the examples that operations share, by name.
func componentExamples(t *testing.T) map[string]any {
	t.Helper()
	text, err := app.Document()
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Components struct {
			Examples map[string]struct {
				Value any `json:"value"`
			} `json:"examples"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text.JSON, &read); err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	for name, e := range read.Components.Examples {
		all[name] = e.Value
	}
	return all
}

func textOf(t *testing.T, value any) string {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
