package identity

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

const (
	// MaxLogin bounds what is typed in as username or email address, in bytes.
	MaxLogin = 254
	// maxDelayed is how many attempts are held back at once.
	maxDelayed = 256
	// maxUserAgent bounds what is kept of a browser's name, in bytes.
	maxUserAgent = 200
)

// Attempt is somebody who wants to sign in.
type Attempt struct {
	Login    string // a username or an email address
	Password string
	From     Origin
	// Replaces is the session that the browser had, which ends.
	Replaces Token
}

// Result is what came of an attempt.
type Result struct {
	Outcome Outcome
	// UserID is whose password it was, or was not; none where nobody has that
	// login. It is for the log, never for the client.
	UserID id.User
	// Of an Accepted one.
	Token   Token
	Current Current
	// Of a Throttled one: how long it is no use to try again.
	RetryAfter time.Duration
}

// SignIn checks a password and begins a session. An unknown user, one without a
// password, a disabled one and a wrong password are Refused alike, for the same
// work; so is one whose sessions were all ended at that moment. The error is
// Unavailable where that could not be decided.
func (s *Service) SignIn(ctx context.Context, a Attempt) (r Result, err error) {
	defer func() { s.stats.signedIn(r.Outcome, err) }()
	login := strings.ToLower(strings.TrimSpace(a.Login))
	charge, r, err := s.admit(ctx, login, a.From)
	if err != nil || r.Outcome == Throttled {
		return r, err
	}
	u, found, err := s.Accounts.Account(ctx, login)
	if err != nil {
		return r, err
	}
	r.UserID = u.ID
	right, stronger, err := s.check(ctx, u.PasswordHash, a.Password)
	if err != nil || !right || !found || u.DisabledAt != nil {
		return r, err
	}
	if stronger != "" {
		if err := s.Accounts.Rehash(ctx, u.ID, u.PasswordHash, stronger); err != nil {
			return r, err
		}
	}
	if began, err := s.begin(ctx, u, a.From, &r); err != nil || !began {
		return r, err
	}
	charge.succeeded()
	return r, s.SignOut(ctx, a.Replaces, a.From)
}

// admit asks the throttle about an attempt, and holds back one that it delays.
func (s *Service) admit(ctx context.Context, account string, from Origin) (a attempt, r Result, err error) {
	a, wait, delay := s.throttle.admit(s.Now(), account, from.Address)
	switch {
	case wait > 0:
		return a, Result{Outcome: Throttled, RetryAfter: wait}, nil
	case delay == 0:
		return a, r, nil
	}
	defer s.stats.delayed.Add(-1)
	if s.stats.delayed.Add(1) > maxDelayed {
		return a, r, fault.New(fault.Unavailable, "too many people sign in at this moment").WithRetryAfter(longestDelay)
	}
	if err := s.Wait(ctx, delay); err != nil {
		return a, r, fault.Wrap(err, fault.Unavailable, "the attempt was given up")
	}
	return a, r, nil
}

// check compares a password with a hash, or with nobody's where there is none.
// Where it is right and its hash weak, stronger is one to put in its place.
func (s *Service) check(ctx context.Context, hash users.PasswordHash, password string) (right bool, stronger users.PasswordHash, err error) {
	against := hash
	if against == "" {
		against = s.nobody
	}
	failed := s.gate.through(ctx, func() {
		s.gate.count()
		if right = against.Matches(password) && hash != ""; right && hash.Weak() {
			s.gate.count()
			// A password that was good once and is too short by today's rules
			// keeps the hash that it has.
			stronger, _ = users.HashPassword(password)
		}
	})
	return right, stronger, failed
}

// hash hashes a new password in its turn.
func (s *Service) hash(ctx context.Context, password string) (hash users.PasswordHash, err error) {
	var f fault.Fields
	f.Check(len(password) >= users.MinPassword && len(password) <= users.MaxPassword, "body.password", "%d to %d bytes", users.MinPassword, users.MaxPassword)
	if err := f.Err(); err != nil {
		return "", err
	}
	failed := s.gate.through(ctx, func() {
		s.gate.count()
		hash, err = users.HashPassword(password)
	})
	if failed != nil {
		return "", failed
	}
	return hash, err
}

// begin starts a session with a token of its own, and makes r Accepted. It does
// not where u is out of date, as when the password was changed meanwhile.
func (s *Service) begin(ctx context.Context, u users.User, from Origin, r *Result) (began bool, err error) {
	ends, err := s.Ends(ctx)
	if err != nil {
		return false, err
	}
	now, token := clock.Stored(s.Now()), newToken()
	session := Session{
		ID: id.New[id.SessionKind](), UserID: u.ID, Stamp: u.SessionStamp,
		CreatedAt: now, RefreshedAt: now, ExpiresAt: now.Add(ends.Idle), EndsAt: now.Add(ends.Whole),
	}
	session = session.within(ends)
	session.seen(from)
	began, err = s.Sessions.Start(ctx, session, token.digest(), signedIn(session, ends, from))
	if began {
		r.Outcome, r.Token, r.Current = Accepted, token, Current{session, u}
	}
	return began, err
}

// goOn begins a session for a user whose password was just set.
func (s *Service) goOn(ctx context.Context, u users.User, from Origin) (r Result, err error) {
	r.UserID = u.ID
	began, err := s.begin(ctx, u, from, &r)
	if err == nil && !began {
		err = Ended()
	}
	return r, err
}

// Ended is the refusal of a session that is over.
func Ended() error {
	return fault.New(fault.Unauthorized, "the session has ended").WithCode("SESSION_ENDED")
}

func (s *Session) seen(from Origin) {
	s.Address = from.address()
	s.UserAgent = strings.ToValidUTF8(strings.Map(printable, from.UserAgent[:min(len(from.UserAgent), maxUserAgent)]), "")
}

func printable(c rune) rune {
	if unicode.IsPrint(c) {
		return c
	}
	return -1
}

// Authenticate returns the live session with a token; ok is false where there
// is none.
func (s *Service) Authenticate(ctx context.Context, t Token) (c Current, ok bool, err error) {
	if t.IsZero() {
		return c, false, nil
	}
	c, ok, err = s.Sessions.ByDigest(ctx, t.digest())
	if err != nil || !ok {
		return Current{}, false, err
	}
	if ok, err = s.current(ctx, &c); err != nil || !ok {
		return Current{}, false, err
	}
	return c, true, nil
}

// Refresh gives a live session a new token, after which the old one is nothing,
// and moves its idle end; ok is false where there is none.
func (s *Service) Refresh(ctx context.Context, t Token, from Origin) (renewed Token, c Current, ok bool, err error) {
	if c, ok, err = s.Authenticate(ctx, t); err != nil || !ok {
		return Token{}, c, false, err
	}
	ends, err := s.Ends(ctx)
	if err != nil {
		return Token{}, c, false, err
	}
	renewed = newToken()
	before := c.Session
	c.Session.RefreshedAt = clock.Stored(s.Now())
	c.Session.ExpiresAt = earlier(c.Session.RefreshedAt.Add(ends.Idle), c.Session.EndsAt)
	c.Session.seen(from)
	ok, err = s.Sessions.Renew(ctx, Renewal{Session: c.Session, Old: t.digest(), New: renewed.digest()}, refreshed(before, c.Session, from))
	return renewed, c, ok, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Setup makes the first owner and signs it in. Only the set-up window may.
func (s *Service) Setup(ctx context.Context, caller access.Caller, a Attempt) (r Result, err error) {
	if !caller.IsSetup() {
		return r, fault.New(fault.Forbidden, "only the set-up token opens this").WithFix("sign in, or create users with the admin API")
	}
	if strings.TrimSpace(a.Login) == "" {
		return r, required("body.username")
	}
	hash, err := s.hash(ctx, a.Password)
	if err != nil {
		return r, err
	}
	u, err := s.Users.Create(ctx, caller, users.NewUser{Name: a.Login, Username: a.Login, Role: access.Owner, Password: hash})
	if err != nil {
		return r, err
	}
	return s.goOn(ctx, u, a.From)
}

func required(location string) error {
	var f fault.Fields
	f.Add(location, "this is needed")
	return f.Err()
}
