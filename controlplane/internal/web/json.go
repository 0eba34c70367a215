package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

const (
	maxDepth = 64 // levels of nesting
	maxName  = 32 // bytes of a member name that is repeated in a message
)

// CheckJSON answers for the form of a body: one JSON value in UTF-8 and nothing
// after it, at most 64 levels deep, no member name twice in an object (400), no
// NUL in a text or name (422: PostgreSQL cannot hold it). A problem says where,
// as a JSON pointer (RFC 6901), and never what stands there.
func CheckJSON(data []byte) *Problem {
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	if _, err := d.ReadValue(); err != nil {
		return syntax(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return NewProblem(CodeMalformed).At(bodyAt(""), "something stands after the JSON value")
	}
	if !bytes.Contains(data, []byte(`\u0000`)) && bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) <= maxDepth {
		return nil // most bodies: without the escape there is no NUL, and few brackets nest little
	}
	return walk(data)
}

// syntax says where a text stops being acceptable JSON, and why.
func syntax(err error) *Problem {
	p := NewProblem(CodeMalformed)
	s, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case !ok: // io.ErrUnexpectedEOF, or nothing but spaces
		return p.At(bodyAt(""), "the JSON value ends too early")
	case errors.Is(err, jsontext.ErrDuplicateName):
		return p.At(bodyAt(s.JSONPointer), "this member name stands in its object twice")
	case strings.Count(string(s.JSONPointer), "/") >= maxDepth:
		return tooDeep()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return p.At(bodyAt(s.JSONPointer), "the JSON value ends too early")
	}
	return p.At(bodyAt(s.JSONPointer), "not JSON in UTF-8 at byte %d", s.ByteOffset)
}

// walk looks at every token of a valid text, for its depth and for NUL.
func walk(data []byte) *Problem {
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	for {
		token, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return syntax(err) // not reached: the text was checked
		case d.StackDepth() > maxDepth:
			return tooDeep()
		case token.Kind() == '"' && strings.Contains(token.String(), "\x00"):
			return invalidAt(d.StackPointer(), "want a text without the NUL character")
		}
	}
}

func tooDeep() *Problem {
	return NewProblem(CodeMalformed).At(bodyAt(""), "it is nested deeper than %d levels", maxDepth)
}

var strict = json.RejectUnknownMembers(true)

// DecodeJSON decodes data, which CheckJSON accepted, into the struct that v
// points to. Names match exactly. A member that the struct does not know and a
// value of another type are INVALID_VALUE, named by place.
func DecodeJSON(data []byte, v any) *Problem {
	if string(data) == "null" { // which would leave v as it is
		return invalidAt("", "want an object")
	}
	err := json.Unmarshal(data, v, strict)
	if err == nil {
		return nil
	}
	s, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return syntax(err)
	}
	if errors.Is(err, json.ErrUnknownName) {
		return invalidAt(s.JSONPointer, "there is no such member")
	}
	return invalidAt(s.JSONPointer, wanted(s.GoType))
}

// wanted asks for the JSON form of a Go type.
func wanted(t reflect.Type) string {
	if t == nil {
		return "want a value of another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "want a string"
	case reflect.Bool:
		return "want true or false"
	case reflect.Slice, reflect.Array:
		return "want an array"
	case reflect.Struct, reflect.Map:
		return "want an object"
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Float32, reflect.Float64:
		return "want a number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "want a whole number"
	}
	return "want a value of another type"
}

func invalidAt(pointer jsontext.Pointer, message string) *Problem {
	return NewProblem(Code(fault.CodeInvalid)).At(bodyAt(pointer), "%s", message)
}

// bodyAt writes a JSON pointer as a location, such as "body.scopes[0]". A client
// may have put anything into a member name, a key too: only what looks like a
// name of ours is repeated.
func bodyAt(pointer jsontext.Pointer) string {
	var b strings.Builder
	b.WriteString("body")
	for token := range pointer.Tokens() {
		switch {
		case strings.Trim(token, "0123456789") == "" && token != "":
			b.WriteString("[" + token + "]")
		case PlainName(token):
			b.WriteString("." + token)
		default:
			fmt.Fprintf(&b, ".(a name of %d bytes)", len(token))
		}
	}
	return b.String()
}

// PlainName reports whether a member name looks like one of ours and may be
// repeated; a key, which is longer, does not.
func PlainName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
