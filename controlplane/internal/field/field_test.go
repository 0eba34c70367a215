package field_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
)

func at(text string) *time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return &t
}

func TestRules(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 201)
	many := strings.Split(strings.Repeat("a,", 64)+"a", ",")
	for name, test := range map[string]struct {
		rule func(*fault.Fields)
		at   string // "": all is well
	}{
		"name":                  {func(f *fault.Fields) { field.Name(f, "n", "Ada Lovelace; DROP") }, ""},
		"name of 200 letters":   {func(f *fault.Fields) { field.Name(f, "n", strings.Repeat("ü", 200)) }, ""},
		"name too long":         {func(f *fault.Fields) { field.Name(f, "n", long) }, "n"},
		"name of blanks":        {func(f *fault.Fields) { field.Name(f, "n", "  ") }, "n"},
		"name with a newline":   {func(f *fault.Fields) { field.Name(f, "n", "a\nb") }, "n"},
		"name no UTF-8":         {func(f *fault.Fields) { field.Name(f, "n", "a\xff") }, "n"},
		"no time":               {func(f *fault.Fields) { field.Time(f, "t", nil) }, ""},
		"the last second":       {func(f *fault.Fields) { field.Time(f, "t", at("9999-12-31T23:59:59Z")) }, ""},
		"a second in UTC":       {func(f *fault.Fields) { field.Time(f, "t", at("9999-12-31T23:59:59-01:00")) }, "t"},
		"the year 0":            {func(f *fault.Fields) { field.Time(f, "t", at("0000-01-01T00:00:00Z")) }, "t"},
		"slug":                  {func(f *fault.Fields) { field.Slug(f, "s", "pro-2026") }, ""},
		"slug with capitals":    {func(f *fault.Fields) { field.Slug(f, "s", "Pro") }, "s"},
		"slug starting with -":  {func(f *fault.Fields) { field.Slug(f, "s", "-pro") }, "s"},
		"slug empty":            {func(f *fault.Fields) { field.Slug(f, "s", "") }, "s"},
		"username":              {func(f *fault.Fields) { field.Username(f, "u", "ada@example.com") }, ""},
		"username with a blank": {func(f *fault.Fields) { field.Username(f, "u", "ada l") }, "u"},
		"scopes":                {func(f *fault.Fields) { field.Scopes(f, "s", []string{"a:b", "a:*", "*"}) }, ""},
		"scope misspelt":        {func(f *fault.Fields) { field.Scopes(f, "s", []string{"ok", "a*b"}) }, "s[1]"},
		"scope twice":           {func(f *fault.Fields) { field.Scopes(f, "s", []string{"a", "a"}) }, "s[1]"},
		"65 scopes":             {func(f *fault.Fields) { field.Scopes(f, "s", many) }, "s"},
		"tags":                  {func(f *fault.Fields) { field.Tags(f, "t", []string{"team/a"}) }, ""},
		"tag empty":             {func(f *fault.Fields) { field.Tags(f, "t", []string{""}) }, "t[0]"},
		"metadata":              {func(f *fault.Fields) { field.Metadata(f, "m", json.RawMessage(`{"a": 1}`)) }, ""},
		"metadata no object":    {func(f *fault.Fields) { field.Metadata(f, "m", json.RawMessage(`[]`)) }, "m"},
		"metadata torn":         {func(f *fault.Fields) { field.Metadata(f, "m", json.RawMessage(`{`)) }, "m"},
		"metadata too long": {func(f *fault.Fields) {
			field.Metadata(f, "m", json.RawMessage(`{"a":"`+strings.Repeat("x", 4096)+`"}`))
		}, "m"},
	} {
		var f fault.Fields
		test.rule(&f)
		found, _ := errors.AsType[*fault.Error](f.Err())
		switch {
		case test.at == "" && found != nil:
			t.Errorf("%s: %v", name, found)
		case test.at != "" && (found == nil || found.Fields[0].Location != test.at):
			t.Errorf("%s: %v, want a fault at %s", name, found, test.at)
		}
	}
}

func TestAChangeTellsAbsentFromNull(t *testing.T) {
	t.Parallel()
	var patch struct {
		Name, Email, Note field.Change[string]
	}
	if err := json.Unmarshal([]byte(`{"Name": "new", "Email": null}`), &patch); err != nil {
		t.Fatal(err)
	}
	name, email, note := "old", "old", "old"
	patch.Name.Apply(&name)
	patch.Email.Apply(&email)
	patch.Note.Apply(&note)
	if name != "new" || email != "" || note != "old" {
		t.Errorf("%q %q %q", name, email, note)
	}
}
