// Package fault is how the control plane says that something could not be
// done. An Error has a kind from a short list, a code that clients may switch
// on, and a message for the client; its cause is for the log alone.
//
// Domains and adapters return faults where the meaning is known and wrap with
// %w on the way up; the edge (web) maps the kind to a status and logs the
// cause once. Invariant: an error that is not an *Error is Internal, and its
// text reaches no client.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind groups faults by what the caller can do about them.
type Kind uint8

// The kinds. Internal is first, so that a zero Kind tells the client nothing.
const (
	Internal     Kind = iota // a defect or an unknown failure: 500
	Invalid                  // a value that breaks a rule: 422
	Unauthorized             // no good credential: 401
	Forbidden                // a good credential that may not: 403
	NotFound                 // no such thing, or none that the caller may see: 404
	Conflict                 // the state does not allow it: 409
	Outdated                 // the thing changed since the caller read it: 412
	Unavailable              // could not be decided or done now; try again: 503
	TooMany                  // the caller has tried too often; try again later: 429
)

// Code names one fault for programs, such as "NOT_FOUND". Every code has a
// page in the documentation.
type Code string

// The codes that more than one domain uses.
const (
	CodeInternal     Code = "INTERNAL"
	CodeInvalid      Code = "INVALID_VALUE"
	CodeUnauthorized Code = "UNAUTHENTICATED"
	CodeForbidden    Code = "FORBIDDEN"
	CodeNotFound     Code = "NOT_FOUND"
	CodeConflict     Code = "CONFLICT"
	CodeTaken        Code = "ALREADY_EXISTS"
	CodeOutdated     Code = "OUTDATED"
	CodeUnavailable  Code = "UNAVAILABLE"
	CodeTooMany      Code = "TOO_MANY_ATTEMPTS"
)

// Error is a fault. It is immutable once returned.
type Error struct {
	Kind    Kind
	Code    Code
	Message string  // one sentence for the client, without any secret
	Fix     string  // what would be right, where that is known
	Fields  []Field // which values are wrong, for Invalid
	// RetryAfter is how long it is no use to try again; 0 where that is not known.
	RetryAfter time.Duration
	cause      error

	said, fixSaid Sentence
}

// Sentence is a text before its arguments stood in it, to be said in another
// language.
type Sentence struct {
	Format string
	Args   []any
}

// Sentences returns what Message and Fix were made of; the zero Sentence where
// there is none.
func (e *Error) Sentences() (message, fix Sentence) { return e.said, e.fixSaid }

// Field is one wrong value: where it stands and what would be right. Never the
// value itself.
type Field struct {
	Location string // such as "body.scopes[0]"
	Message  string

	said Sentence
}

// Sentence returns what Message was made of.
func (f Field) Sentence() Sentence {
	if f.said.Format == "" { // written as it is
		return Sentence{"%s", []any{f.Message}}
	}
	return f.said
}

// New returns a fault of the kind with its usual code.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: kind.code(), Message: fmt.Sprintf(format, args...), said: Sentence{format, args}}
}

// Wrap returns a fault of the kind with a cause that only the log sees.
func Wrap(cause error, kind Kind, format string, args ...any) *Error {
	e := New(kind, format, args...)
	e.cause = cause
	return e
}

// WithCode returns a copy with another code.
func (e *Error) WithCode(c Code) *Error {
	copied := *e
	copied.Code = c
	return &copied
}

// WithFix returns a copy that says what would be right.
func (e *Error) WithFix(format string, args ...any) *Error {
	copied := *e
	copied.Fix, copied.fixSaid = fmt.Sprintf(format, args...), Sentence{format, args}
	return &copied
}

// WithRetryAfter returns a copy that says how long it is no use to try again.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	copied := *e
	copied.RetryAfter = d
	return &copied
}

// Error returns message and cause, for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	if len(e.Fields) > 0 {
		return fmt.Sprintf("%s (%s: %s)", e.Message, e.Fields[0].Location, e.Fields[0].Message)
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of the first fault in err's chain, Internal where
// there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err's chain holds a fault of the kind.
func Is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}

func (k Kind) code() Code {
	switch k {
	case Invalid:
		return CodeInvalid
	case Unauthorized:
		return CodeUnauthorized
	case Forbidden:
		return CodeForbidden
	case NotFound:
		return CodeNotFound
	case Conflict:
		return CodeConflict
	case Outdated:
		return CodeOutdated
	case Unavailable:
		return CodeUnavailable
	case TooMany:
		return CodeTooMany
	}
	return CodeInternal
}

// CheckVersion returns Outdated where a caller read another version of a thing
// than the current one; 0 means that the caller does not mind.
func CheckVersion(read, current int64) error {
	if read == 0 || read == current {
		return nil
	}
	return New(Outdated, "this was changed since it was read: it is at version %d now", current).
		WithFix("read it again and repeat the change with the new ETag")
}
