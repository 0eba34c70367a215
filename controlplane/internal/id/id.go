// Package id has the typed ids of the control plane: a prefix that says what
// the thing is, then a UUIDv7 (RFC 9562) as 32 hexadecimal digits, such as
// key_0190c2f57d3a7c3e8f5a2b6d1c9e4a70. The database holds the plain uuid; the
// digits paste into SQL as they are. Ids of one kind cannot be passed for
// another: they are different types.
package id

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// Of is the id of a thing of kind T. The zero value is "none".
type Of[T Kind] struct{ uuid uuid.UUID }

// Kind is a kind of thing that has ids.
type Kind interface{ prefix() string }

// The kinds of thing that have ids, to name them in New and Parse.
type (
	UserKind         struct{}
	KeyKind          struct{}
	PlanKind         struct{}
	SubscriptionKind struct{}
	EventKind        struct{}
	SessionKind      struct{}
	LimitKind        struct{}
	GatewayKind      struct{}
)

func (UserKind) prefix() string         { return "usr_" }
func (KeyKind) prefix() string          { return "key_" }
func (PlanKind) prefix() string         { return "pln_" }
func (SubscriptionKind) prefix() string { return "sub_" }
func (EventKind) prefix() string        { return "evt_" }
func (SessionKind) prefix() string      { return "ses_" }
func (LimitKind) prefix() string        { return "lim_" }
func (GatewayKind) prefix() string      { return "gw_" }

// The ids there are.
type (
	User         = Of[UserKind]
	Key          = Of[KeyKind]
	Plan         = Of[PlanKind]
	Subscription = Of[SubscriptionKind]
	Event        = Of[EventKind]
	Session      = Of[SessionKind]
	Limit        = Of[LimitKind]
	Gateway      = Of[GatewayKind] // of the UUID that the process drew
)

// New returns a fresh id. Ids made later sort later, to the millisecond.
func New[T Kind]() Of[T] { return Of[T]{uuid.Must(uuid.NewV7())} }

// Form says what an id looks like: a format with the Prefix of its kind.
const Form = "this id starts with %s and goes on with 32 hexadecimal digits"

// Prefix returns what the ids of a kind start with.
func Prefix[T Kind]() string {
	var k T
	return k.prefix()
}

// Parse reads what String writes. The error says what an id of this kind looks
// like and does not repeat the text.
func Parse[T Kind](text string) (Of[T], error) {
	p := Prefix[T]()
	if len(text) == len(p)+32 && text[:len(p)] == p && lower(text[len(p):]) {
		var u uuid.UUID
		if _, err := hex.Decode(u[:], []byte(text[len(p):])); err == nil && u != uuid.Nil {
			return Of[T]{u}, nil
		}
	}
	return Of[T]{}, fmt.Errorf(Form, p)
}

func lower(s string) bool {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'F' {
			return false
		}
	}
	return true
}

// IsZero reports whether this is no id.
func (i Of[T]) IsZero() bool { return i.uuid == uuid.Nil }

// String returns prefix and digits, or "" for no id.
func (i Of[T]) String() string {
	if i.IsZero() {
		return ""
	}
	return Prefix[T]() + hex.EncodeToString(i.uuid[:])
}

// MarshalText writes what String returns.
func (i Of[T]) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads what String writes; empty text is no id.
func (i *Of[T]) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*i = Of[T]{}
		return nil
	}
	*i, err = Parse[T](string(b))
	return err
}

// Value is the plain uuid, NULL for no id.
func (i Of[T]) Value() (driver.Value, error) {
	if i.IsZero() {
		return nil, nil
	}
	return i.uuid.String(), nil
}

// Scan reads a uuid column; NULL is no id.
func (i *Of[T]) Scan(src any) error {
	if src == nil {
		*i = Of[T]{}
		return nil
	}
	return i.uuid.Scan(src)
}

// UUID returns the bare uuid, for COPY and binary parameters.
func (i Of[T]) UUID() uuid.UUID { return i.uuid }

// From makes an id of a bare uuid that the database returned.
func From[T Kind](u uuid.UUID) Of[T] { return Of[T]{u} }
