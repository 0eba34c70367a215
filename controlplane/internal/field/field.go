// Package field owns the rules for values that more than one domain accepts:
// names, slugs, scopes, tags, metadata; and Change, a member of a PATCH.
//
// A rule notes what is wrong and what would be right in a fault.Fields and
// never repeats the value, so that a secret in the wrong place stays there.
package field

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Limits of values, for the OpenAPI document too.
const (
	MaxName     = 200 // characters
	MaxSlug     = 64
	MaxScopes   = 64
	MaxTags     = 32
	MaxTag      = 64
	MaxMetadata = 4096 // bytes of JSON
	MinSearch   = 3    // characters: an index knows parts of three
	MaxSearch   = 64
	MaxKeys     = 1_000_000
)

// Change is a member of a PATCH: absent keeps what is there, null clears it.
type Change[T any] struct {
	Present bool
	Value   T // the zero value clears
}

// To returns a change to a value.
func To[T any](value T) Change[T] { return Change[T]{Present: true, Value: value} }

// Apply sets target where the change is present.
func (c Change[T]) Apply(target *T) {
	if c.Present {
		*target = c.Value
	}
}

// UnmarshalJSON is only called for members that are there; null is the zero value.
func (c *Change[T]) UnmarshalJSON(b []byte) error {
	c.Present = true
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	return json.Unmarshal(b, &c.Value)
}

// Name notes a name that is empty, too long or has control characters.
func Name(f *fault.Fields, location, value string) {
	f.Check(strings.TrimSpace(value) != "", location, "a name is needed")
	Text(f, location, value)
}

// Text notes a text that is too long or has control characters; empty is fine.
func Text(f *fault.Fields, location, value string) {
	ok := utf8.ValidString(value) && utf8.RuneCountInString(value) <= MaxName &&
		strings.IndexFunc(value, unicode.IsControl) < 0
	f.Check(ok, location, "at most %d characters, without control characters", MaxName)
}

// Bound notes a number that is negative or past the most; nil is no bound.
func Bound(f *fault.Fields, location string, value *int, most int) {
	f.Check(value == nil || *value >= 0 && *value <= most, location, "0 to %d, or null", most)
}

// Search trims what a list is searched for and notes what no text can be found by:
// too short, too long, or with control characters, which are in no text. "" is no
// search; what is blank was meant as one, and too short.
func Search(f *fault.Fields, location string, value *string) {
	if *value == "" {
		return
	}
	*value = strings.TrimSpace(*value)
	n := utf8.RuneCountInString(*value)
	f.Check(n >= MinSearch && n <= MaxSearch, location, "%d to %d characters", MinSearch, MaxSearch)
	f.Check(strings.IndexFunc(*value, unicode.IsControl) < 0, location, "no control characters")
}

// Time notes a time outside the years 1970 to 9999: JSON cannot write later ones
// (RFC 3339), nor PostgreSQL read the year 0. nil is fine.
func Time(f *fault.Fields, location string, value *time.Time) {
	if value != nil {
		year := value.UTC().Year()
		f.Check(year >= 1970 && year <= 9999, location, "a time of the years 1970 to 9999")
	}
}

// Slug notes what is not 1 to 64 of a-z, 0-9 and -, starting with a letter or digit.
func Slug(f *fault.Fields, location, value string) {
	ok := value != "" && len(value) <= MaxSlug && value[0] != '-' && onlyOf(value, "-")
	f.Check(ok, location, "1 to %d of a-z, 0-9 and -, starting with a letter or digit", MaxSlug)
}

// Username notes what is not empty, or 1 to 64 of a-z, 0-9 and ._@-.
func Username(f *fault.Fields, location, value string) {
	f.Check(len(value) <= MaxSlug && onlyOf(value, "._@-"), location, "at most %d of a-z, 0-9 and ._@-", MaxSlug)
}

func onlyOf(s, also string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(also, c) {
			return false
		}
	}
	return true
}

// Scopes notes scopes that are too many, misspelt or repeated.
func Scopes(f *fault.Fields, location string, scopes []string) {
	f.Check(len(scopes) <= MaxScopes, location, "at most %d scopes", MaxScopes)
	each(f, location, scopes, scopeForm, apikey.CheckScope)
}

// Scope notes what no key can carry by its name; "" is none. Keys with * would all
// cover it.
func Scope(f *fault.Fields, location, value string) {
	f.Check(value == "" || apikey.CheckScope(value), location, scopeForm)
}

const scopeForm = "a scope is 1 to 64 of a-z, 0-9 and ._:*-, with * alone or after the last colon"

// Tags notes tags that are too many, misspelt or repeated.
func Tags(f *fault.Fields, location string, tags []string) {
	f.Check(len(tags) <= MaxTags, location, "at most %d tags", MaxTags)
	each(f, location, tags, "a tag is 1 to 64 of a-z, 0-9 and ._:/-", func(s string) bool {
		return s != "" && len(s) <= MaxTag && onlyOf(s, "._:/-")
	})
}

// each notes every element that is not ok or stands twice.
func each(f *fault.Fields, location string, list []string, rule string, ok func(string) bool) {
	seen := make(map[string]bool, len(list))
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", location, i)
		f.Check(ok(s), at, "%s", rule)
		f.Check(!seen[s], at, "given twice")
		seen[s] = true
	}
}

// Metadata returns the object in its compact form, {} where there is none, and
// notes what is no JSON object or longer than MaxMetadata.
func Metadata(f *fault.Fields, location string, value json.RawMessage) json.RawMessage {
	if len(value) == 0 || string(value) == "null" {
		return json.RawMessage("{}")
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, value)
	ok := err == nil && compact.Bytes()[0] == '{' && compact.Len() <= MaxMetadata
	f.Check(ok, location, "a JSON object of at most %d bytes", MaxMetadata)
	return compact.Bytes()
}
