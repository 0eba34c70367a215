package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/latchkey/latchkey/controlplane/internal/app"
)

// document is the OpenAPI document as tests read it: what it says, not how it
// came to be.
type document struct {
	operations []*operation // by path, then method
	schemas    map[string]*schema
	compiler   *jsonschema.Compiler
	compiled   map[string]*jsonschema.Schema // by place in the document
}

type operation struct {
	Path, Method string
	ID           string                `json:"operationId"`
	Security     []map[string][]string `json:"security"`
	Parameters   []parameter           `json:"parameters"`
	RequestBody  *struct {
		Required bool             `json:"required"`
		Content  map[string]media `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Description string           `json:"description"`
		Content     map[string]media `json:"content"`
	} `json:"responses"`
}

type parameter struct {
	Name     string  `json:"name"`
	In       string  `json:"in"`
	Required bool    `json:"required"`
	Schema   *schema `json:"schema"`
}

type media struct {
	Schema   *schema `json:"schema"`
	Example  any     `json:"example"`
	Examples map[string]struct {
		Ref   string `json:"$ref"`
		Value any    `json:"value"`
	} `json:"examples"`
}

// schema is the part of a JSON Schema from which requests are made.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"` // a name, or several
	Format     string             `json:"format"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Items      *schema            `json:"items"`
	Examples   []any              `json:"examples"`
	Enum       []any              `json:"enum"`
	MinLength  *int               `json:"minLength"`
	MaxLength  *int               `json:"maxLength"`
	MinItems   *int               `json:"minItems"`
	MaxItems   *int               `json:"maxItems"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
}

// readDocument reads the document of this build.
func readDocument(t testing.TB) *document {
	t.Helper()
	text, err := app.Document()
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Paths      map[string]map[string]*operation `json:"paths"`
		Components struct {
			Schemas map[string]*schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text.JSON, &read); err != nil {
		t.Fatal(err)
	}
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text.JSON)))
	if err != nil {
		t.Fatal(err)
	}
	d := &document{schemas: read.Components.Schemas, compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020) // that of OpenAPI 3.1
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("openapi.json", whole); err != nil {
		t.Fatal(err)
	}
	for path, item := range read.Paths {
		for method, o := range item {
			o.Path, o.Method = path, strings.ToUpper(method)
			d.operations = append(d.operations, o)
		}
	}
	slices.SortFunc(d.operations, func(a, b *operation) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	return d
}

// scopes are the management scopes of which an operation needs one.
func (o *operation) scopes() (all []string) {
	for _, way := range o.Security {
		all = append(all, way["managementKey"]...)
	}
	return all
}

// takes reports whether a security scheme opens an operation.
func (o *operation) takes(scheme string) bool {
	return slices.ContainsFunc(o.Security, func(way map[string][]string) bool { _, ok := way[scheme]; return ok })
}

// body is the JSON body that an operation takes, nil for none.
func (o *operation) body() *media {
	if o.RequestBody == nil {
		return nil
	}
	if m, ok := o.RequestBody.Content["application/json"]; ok {
		return &m
	}
	return nil
}

// resolved follows a reference.
func (d *document) resolved(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = d.schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	if s == nil {
		return &schema{}
	}
	return s
}

// example makes a value of what the schema says by example: every member that is
// required or has one. ok is false where nothing is exemplified.
func (d *document) example(s *schema) (value any, ok bool) {
	s = d.resolved(s)
	if len(s.Examples) > 0 {
		return s.Examples[0], true
	}
	if s.Properties != nil {
		object := map[string]any{}
		for name, member := range s.Properties {
			if v, found := d.example(member); found {
				object[name] = v
			} else if slices.Contains(s.Required, name) {
				return nil, false
			}
		}
		return object, len(object) > 0
	}
	if s.Items != nil {
		if v, found := d.example(s.Items); found {
			return []any{v}, true
		}
	}
	return nil, false
}

// examples are the bodies that an operation shows, by name.
func (d *document) examples(o *operation) (map[string]any, error) {
	m := o.body()
	switch {
	case m == nil:
		return map[string]any{"": nil}, nil
	case len(m.Examples) > 0:
		all := map[string]any{}
		for name, e := range m.Examples {
			all[name] = e.Value
		}
		return all, nil
	case m.Example != nil:
		return map[string]any{"": m.Example}, nil
	}
	value, ok := d.example(m.Schema)
	if !ok && !o.RequestBody.Required {
		return map[string]any{"": nil}, nil
	}
	if !ok {
		return nil, fmt.Errorf("%s: the document shows no example of its body", o.ID)
	}
	return map[string]any{"": value}, nil
}

// at compiles the schema at a place of the document.
func (d *document) at(place ...string) (*jsonschema.Schema, error) {
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	pointer := "openapi.json#"
	for _, p := range place {
		pointer += "/" + escape.Replace(p)
	}
	if s := d.compiled[pointer]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(pointer)
	if err == nil {
		d.compiled[pointer] = s
	}
	return s, err
}

// fits returns what is wrong with a JSON text by a schema of the document.
func (d *document) fits(text string, place ...string) error {
	s, err := d.at(place...)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// describes returns what is wrong with an answer by what the document says of
// the operation: its status, its media type, its body and the code of a refusal.
func (d *document) describes(o *operation, a answer) error {
	status := fmt.Sprint(a.status)
	response, ok := o.Responses[status]
	if !ok {
		return fmt.Errorf("the document does not describe the status %s", status)
	}
	if len(response.Content) == 0 {
		if a.raw != "" {
			return fmt.Errorf("the document describes no body for %s", status)
		}
		return nil
	}
	mediaType, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if _, ok := response.Content[mediaType]; !ok {
		return fmt.Errorf("the document describes no %q for %s", mediaType, status)
	}
	if code, refused := a.get("code").(string); refused && a.status >= 400 && !strings.Contains(response.Description, "`"+code+"`") {
		return fmt.Errorf("the document names no %s for %s", code, status)
	}
	if mediaType != "application/json" && !strings.HasSuffix(mediaType, "+json") {
		return nil // a stream of lines, which has no schema
	}
	return d.fits(a.raw, "paths", o.Path, strings.ToLower(o.Method), "responses", status, "content", mediaType, "schema")
}
