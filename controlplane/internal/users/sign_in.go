package users

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// SetPassword gives a user a password, and ends the user's sessions. It needs
// users:write and everything that the user's role holds.
func (s *Service) SetPassword(ctx context.Context, caller access.Caller, user id.User, hash PasswordHash) (User, error) {
	if err := caller.Require(access.UsersWrite); err != nil {
		return User{}, err
	}
	return s.store.Update(ctx, user, func(u *User) (*journal.Entry, error) {
		if err := caller.MayTouch(u.Role); err != nil {
			return nil, err
		}
		return s.setPassword(caller, u, hash), nil
	})
}

// ChangePassword gives the calling user another password, and ends the user's
// sessions. was is the hash that the present password was checked against:
// where it is no longer the user's, another change was faster.
func (s *Service) ChangePassword(ctx context.Context, caller access.Caller, user id.User, was, hash PasswordHash) (User, error) {
	if !caller.IsUser(user.String()) {
		return User{}, fault.New(fault.Forbidden, "only the user can do this")
	}
	return s.store.Update(ctx, user, func(u *User) (*journal.Entry, error) {
		if u.PasswordHash != was || u.DisabledAt != nil {
			return nil, fault.New(fault.Conflict, "the password was changed at this moment by somebody else")
		}
		return s.setPassword(caller, u, hash), nil
	})
}

func (s *Service) setPassword(caller access.Caller, u *User, hash PasswordHash) *journal.Entry {
	u.PasswordHash = hash
	return s.endSessions(caller, u, "user.set_password")
}

// EndSessions ends every session of a user. It needs users:write and everything
// that the user's role holds.
func (s *Service) EndSessions(ctx context.Context, caller access.Caller, user id.User) (User, error) {
	if err := caller.Require(access.UsersWrite); err != nil {
		return User{}, err
	}
	return s.store.Update(ctx, user, func(u *User) (*journal.Entry, error) {
		if err := caller.MayTouch(u.Role); err != nil {
			return nil, err
		}
		return s.endSessions(caller, u, "user.end_sessions"), nil
	})
}

// endSessions makes an entry that touches nothing: keys live on.
func (s *Service) endSessions(caller access.Caller, u *User, action string) *journal.Entry {
	u.SessionStamp++
	u.UpdatedAt = s.now.Moment()
	return &journal.Entry{Caller: caller, At: u.UpdatedAt, Action: action, Target: u.target()}
}
