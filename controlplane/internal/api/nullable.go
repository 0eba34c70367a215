package api

import (
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/field"
)

// nullable is a member of a PATCH: absent keeps, null clears.
type nullable[T any] struct{ field.Change[T] }

// Schema is the value's own schema, with null.
func (nullable[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), true, "")
	s.Nullable = true
	return &s
}

// withNull adds null to the values of every enum that may be null: huma says so
// in the type alone, and by JSON Schema an enum is all that there is.
func withNull(schemas map[string]*huma.Schema) {
	for _, s := range schemas {
		if s.Nullable && len(s.Enum) > 0 {
			s.Enum = append(slices.Clip(s.Enum), nil)
		}
		withNull(s.Properties)
	}
}
