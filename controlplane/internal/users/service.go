package users

import (
	"context"
	"encoding/json"
	"net/mail"
	"strings"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// Service is what may be done with users. Safe for concurrent use.
type Service struct {
	store Store
	now   clock.Clock
}

// New returns the service over a store.
func New(store Store, now func() time.Time) *Service { return &Service{store: store, now: now} }

// NewUser is a user to be made. Role is member and Kind is person where empty.
type NewUser struct {
	Kind       Kind
	Name       string
	Username   string
	Email      string
	ExternalID string
	Role       access.Role
	Password   PasswordHash
	Metadata   json.RawMessage
	MaxKeys    *int
}

// Create makes a user. It needs users:write, and everything that the user's
// role holds; the set-up window may make an owner with a password and nobody
// else: it closes with that, and nobody could come in who cannot sign in.
func (s *Service) Create(ctx context.Context, caller access.Caller, in NewUser) (User, error) {
	now := s.now.Moment()
	u := User{
		ID: id.New[id.UserKind](), Kind: in.Kind, Name: in.Name, Username: in.Username, Email: in.Email,
		ExternalID: in.ExternalID, Role: in.Role, PasswordHash: in.Password, Metadata: in.Metadata, MaxKeys: in.MaxKeys,
		CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if u.Kind == "" {
		u.Kind = KindPerson
	}
	if u.Role == "" {
		u.Role = access.Member
	}
	if err := mayCreate(caller, u); err != nil {
		return User{}, err
	}
	if err := u.check(); err != nil {
		return User{}, err
	}
	_, after := journal.Diff(struct{}{}, u)
	e := journal.Entry{Caller: caller, At: now, Action: "user.create", Target: u.target(), After: after}
	return u, s.store.Insert(ctx, u, e)
}

func mayCreate(caller access.Caller, u User) error {
	if caller.IsSetup() && u.OpensAll() {
		return nil
	}
	if err := caller.Require(access.UsersWrite); err != nil {
		return err
	}
	return caller.MayTouch(u.Role)
}

// Patch is a change of some of a user's settings.
type Patch struct {
	Name, Username, Email, ExternalID field.Change[string]
	Role                              field.Change[access.Role]
	Metadata                          field.Change[json.RawMessage]
	Disabled                          field.Change[bool]
	MaxKeys                           field.Change[*int]
	// Version, where it is not 0, is the version that the caller has read.
	Version int64
}

// Update changes a user. It needs users:write, and everything that the user's
// role holds, before and after.
func (s *Service) Update(ctx context.Context, caller access.Caller, user id.User, p Patch) (User, error) {
	if err := caller.Require(access.UsersWrite); err != nil {
		return User{}, err
	}
	return s.store.Update(ctx, user, func(u *User) (*journal.Entry, error) {
		before := *u
		if err := fault.CheckVersion(p.Version, u.Version); err != nil {
			return nil, err
		}
		if err := caller.MayTouch(u.Role); err != nil {
			return nil, err
		}
		p.Name.Apply(&u.Name)
		p.Username.Apply(&u.Username)
		p.Email.Apply(&u.Email)
		p.ExternalID.Apply(&u.ExternalID)
		p.Role.Apply(&u.Role)
		p.Metadata.Apply(&u.Metadata)
		p.MaxKeys.Apply(&u.MaxKeys)
		s.disable(u, p.Disabled)
		if err := caller.MayTouch(u.Role); err != nil {
			return nil, err
		}
		if err := u.check(); err != nil {
			return nil, err
		}
		return s.entry(caller, "user.update", before, u), nil
	})
}

func (s *Service) disable(u *User, c field.Change[bool]) {
	switch {
	case !c.Present:
	case !c.Value:
		u.DisabledAt = nil
	case u.DisabledAt == nil: // the first stamp stays
		now := s.now.Moment()
		u.DisabledAt = &now
		u.SessionStamp++
	}
}

// ByID returns a user. It needs users:read.
func (s *Service) ByID(ctx context.Context, caller access.Caller, user id.User) (User, error) {
	if err := caller.Require(access.UsersRead); err != nil {
		return User{}, err
	}
	return s.store.ByID(ctx, user)
}

// List returns a page of users, the newest first. It needs users:read.
func (s *Service) List(ctx context.Context, caller access.Caller, f Filter) ([]User, error) {
	if err := caller.Require(access.UsersRead); err != nil {
		return nil, err
	}
	f.Username = strings.ToLower(f.Username) // as they are kept
	var wrong fault.Fields
	field.Search(&wrong, "query.q", &f.Search)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	return s.store.List(ctx, f)
}

// entry says what an update changed, or nil where it changed nothing. What a
// gateway tells the services behind it (name, external id) takes nothing away;
// disabling does. Enabling is no Refresh either: its keys would be refused once
// more.
func (s *Service) entry(caller access.Caller, action string, before User, u *User) *journal.Entry {
	was, is := journal.Diff(before, u)
	if len(is) == 0 {
		return nil
	}
	u.UpdatedAt = s.now.Moment()
	return &journal.Entry{
		Caller: caller, At: u.UpdatedAt, Action: action, Target: u.target(), Before: was, After: is,
		Touches: []string{u.ID.String()},
		Refresh: u.DisabledAt == nil && before.DisabledAt == nil,
	}
}

// check normalises a user and reports every value that breaks a rule.
func (u *User) check() error {
	var f fault.Fields
	u.Username, u.Email = strings.ToLower(u.Username), strings.TrimSpace(u.Email)
	field.Name(&f, "body.name", u.Name)
	field.Username(&f, "body.username", u.Username)
	field.Text(&f, "body.external_id", u.ExternalID)
	f.Check(u.Kind == KindPerson || u.Kind == KindService, "body.kind", "person or service")
	f.Check(access.KnownRole(u.Role), "body.role", "one of %s", access.RoleNames())
	if u.Email != "" {
		address, err := mail.ParseAddress(u.Email)
		f.Check(err == nil && address.Address == u.Email && len(u.Email) <= 254, "body.email", "an address such as name@example.com")
	}
	field.Bound(&f, "body.max_keys", u.MaxKeys, field.MaxKeys)
	u.Metadata = field.Metadata(&f, "body.metadata", u.Metadata)
	return f.Err()
}
