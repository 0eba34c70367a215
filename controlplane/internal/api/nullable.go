package api

import (
	"reflect"

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
