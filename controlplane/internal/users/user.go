// Package users owns the people and services that hold keys and may sign in,
// with their roles and passwords.
//
// Invariants: a password exists only as an argon2id hash; nobody makes, edits
// or ends a user who may do more than they may; where an owner could sign in, one
// always can; disabling a user stops all its
// keys at once, because every record depends on its user; a disabled user and a
// new password end the user's sessions. Called by the admin API, the command
// line and identity; the postgres adapter is its Store.
package users

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// Kind says what a user is.
type Kind string

// The kinds of user.
const (
	KindPerson  Kind = "person"
	KindService Kind = "service"
)

// DefaultID is the built-in service user that owns keys which were issued
// without an owner. The first migration makes it.
var DefaultID = id.From[id.UserKind](uuid.MustParse("00000000-0000-7000-8000-000000000001"))

// User is a person or a service.
type User struct {
	ID           id.User         `json:"id"`
	Kind         Kind            `json:"kind"`
	Name         string          `json:"name"`
	Username     string          `json:"username"` // unique; "" where there is none
	Email        string          `json:"email"`
	ExternalID   string          `json:"external_id"` // the customer's own id, unique; "" where there is none
	Role         access.Role     `json:"role"`
	PasswordHash PasswordHash    `json:"password"`
	Metadata     json.RawMessage `json:"metadata"`
	DisabledAt   *time.Time      `json:"disabled_at"`
	MaxKeys      *int            `json:"max_keys"` // live API keys; nil: what each plan says
	// SessionStamp is copied into every session at its start. A session under
	// another stamp than its user's is over: raising it ends them all, those
	// that are being started at that moment too.
	SessionStamp int64     `json:"-"`
	CreatedAt    time.Time `json:"-"`
	UpdatedAt    time.Time `json:"-"`
	Version      int64     `json:"-"` // counts the writes of this row
}

// Filter narrows a list.
type Filter struct {
	Kind       Kind
	Role       access.Role
	Username   string
	ExternalID string
	Disabled   *bool
	Search     string  // a part of the name, username, email address or external id, in either case
	After      id.User // the last one of the page before; the newest come first
	Limit      int
}

// Store keeps users. Every method answers NotFound for a user that is not
// there, ALREADY_EXISTS for a username or external id that is taken, and
// Unavailable where the database cannot be reached.
type Store interface {
	// Insert adds a user and appends the entry, and closes the set-up window
	// where the user is an owner: all or nothing.
	Insert(ctx context.Context, u User, e journal.Entry) error
	// Update locks the user, lets change edit it and appends the entry that it
	// returns: all or nothing. Where change returns an error, or no entry,
	// nothing is written. change may run again, on what is there then: what it
	// leaves behind elsewhere must be that of its last run. It answers LastOwner
	// where the user is the only one who OpensAll, and would no longer; of two
	// who leave at the same moment one stays.
	Update(ctx context.Context, user id.User, change func(*User) (*journal.Entry, error)) (User, error)
	ByID(ctx context.Context, user id.User) (User, error)
	List(ctx context.Context, f Filter) ([]User, error)
}

// CodeLastOwner is the code of a change that would leave no owner who can sign in.
const CodeLastOwner fault.Code = "LAST_OWNER"

// OpensAll reports whether the user can sign in as an owner: with a password, and
// a name to go with it.
func (u *User) OpensAll() bool {
	return u.Role == access.Owner && u.DisabledAt == nil && u.PasswordHash != "" && (u.Username != "" || u.Email != "")
}

// LastOwner is the refusal of a Store to leave no user who OpensAll: nobody could
// undo it from a browser.
func LastOwner() error {
	return fault.New(fault.Conflict, "this is the last owner who can sign in").WithCode(CodeLastOwner).
		WithFix("make another user an owner first, with a password")
}

func (u *User) target() journal.Target {
	return journal.Target{Kind: "user", ID: u.ID.String(), Name: u.Name}
}
