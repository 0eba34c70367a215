package identity

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
)

// SetPassword gives a user a password, and ends the user's sessions. It needs
// users:write and everything that the user's role holds. One's own password is
// changed by ChangePassword alone: a session that was left open must not be
// enough to take the account over.
func (s *Service) SetPassword(ctx context.Context, caller access.Caller, user id.User, password string) error {
	if err := caller.Require(access.UsersWrite); err != nil {
		return err
	}
	if caller.IsUser(user.String()) {
		return fault.New(fault.Forbidden, "one's own password is changed with the present one").
			WithFix("use POST /api/v1/me/password")
	}
	u, err := s.Users.ByID(ctx, access.System(), user)
	if err != nil {
		return err
	}
	if err := caller.MayTouch(u.Role); err != nil { // before the work; Users checks again
		return err
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = s.Users.SetPassword(ctx, caller, user, hash)
	return err
}

// Change is a user who wants another password.
type Change struct {
	Present string
	New     string
	From    Origin
}

// ChangePassword gives the user of a session another password, ends all the
// user's sessions and begins a new one. The present password is guessed at no
// faster than by signing in.
func (s *Service) ChangePassword(ctx context.Context, c Current, in Change) (r Result, err error) {
	u := c.User
	charge, r, err := s.admit(ctx, u.ID.String(), in.From)
	if err != nil || r.Outcome == Throttled {
		return r, err
	}
	r.UserID = u.ID
	right, _, err := s.check(ctx, u.PasswordHash, in.Present)
	if err != nil || !right {
		return r, err
	}
	hash, err := s.hash(ctx, in.New)
	if err != nil {
		return r, err
	}
	if u, err = s.Users.ChangePassword(ctx, in.From.caller(u), u.ID, u.PasswordHash, hash); err != nil {
		return r, err
	}
	charge.succeeded()
	return s.goOn(ctx, u, in.From)
}
