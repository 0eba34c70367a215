package identity

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
)

// List returns a page of live sessions, the newest first. It needs users:read.
func (s *Service) List(ctx context.Context, caller access.Caller, f Filter) ([]Session, error) {
	if err := caller.Require(access.UsersRead); err != nil {
		return nil, err
	}
	return s.list(ctx, f)
}

// list returns sessions that are live now, as they end by the Ends of now.
func (s *Service) list(ctx context.Context, f Filter) (all []Session, err error) {
	f.Now = s.Now()
	if f.Ends, err = s.Ends(ctx); err != nil {
		return nil, err
	}
	if all, err = s.Sessions.List(ctx, f); err != nil {
		return nil, err
	}
	for i, one := range all {
		all[i] = one.within(f.Ends)
	}
	return all, nil
}

// End ends a session. It needs users:write and everything that its user's role
// holds.
func (s *Service) End(ctx context.Context, caller access.Caller, session id.Session) error {
	if err := caller.Require(access.UsersWrite); err != nil {
		return err
	}
	c, err := s.live(ctx, session)
	if err != nil {
		return err
	}
	if err := caller.MayTouch(c.User.Role); err != nil {
		return err
	}
	return s.end(ctx, Which{User: c.User.ID, One: session}, deed{"user.end_session", caller})
}

// live finds a session; one that is over is not there.
func (s *Service) live(ctx context.Context, session id.Session) (Current, error) {
	c, err := s.Sessions.ByID(ctx, session)
	if fault.Is(err, fault.NotFound) {
		return c, noSession()
	}
	if err != nil {
		return c, err
	}
	live, err := s.current(ctx, &c)
	if err == nil && !live {
		err = noSession()
	}
	return c, err
}

// noSession is the same of one that never was, that is over and that is not the
// caller's to know of.
func noSession() error {
	return fault.New(fault.NotFound, "there is no such session, or it is over")
}

// current makes a session what it is by the Ends of now, and reports whether it
// is live.
func (s *Service) current(ctx context.Context, c *Current) (live bool, err error) {
	ends, err := s.Ends(ctx)
	if err != nil {
		return false, err
	}
	c.Session = c.Session.within(ends)
	return c.Session.live(c.User, s.Now()), nil
}

// Own returns a page of the live sessions of a session's user.
func (s *Service) Own(ctx context.Context, c Current, f Filter) ([]Session, error) {
	f.User = c.User.ID
	return s.list(ctx, f)
}

// EndOwn ends a session of one's own. Another user's is not there.
func (s *Service) EndOwn(ctx context.Context, c Current, from Origin, session id.Session) error {
	other, err := s.live(ctx, session)
	if err != nil {
		return err
	}
	if other.User.ID != c.User.ID {
		return noSession()
	}
	return s.end(ctx, Which{User: c.User.ID, One: session}, deed{"user.end_session", from.caller(c.User)})
}

// EndOthers ends every session of one's own but this one.
func (s *Service) EndOthers(ctx context.Context, c Current, from Origin) error {
	return s.end(ctx, Which{User: c.User.ID, Except: c.Session.ID}, deed{"user.end_sessions", from.caller(c.User)})
}

// SignOut ends the session with a token, where there is a live one.
func (s *Service) SignOut(ctx context.Context, t Token, from Origin) error {
	c, ok, err := s.Authenticate(ctx, t)
	if err != nil || !ok {
		return err
	}
	return s.end(ctx, Which{User: c.User.ID, One: c.Session.ID}, deed{"user.sign_out", from.caller(c.User)})
}
