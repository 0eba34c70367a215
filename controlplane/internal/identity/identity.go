// Package identity owns signing in: passwords that are checked, the sessions
// that follow, and the brake on guessing.
//
//	SignIn ──throttle──► Accounts ──gate──► argon2id ──► Session, Token
//	            │ before any hashing          │ also for a user who is not there
//	Token ──SHA-256──► Sessions ──► Session and its User, as both are now
//
// Invariants: a token exists only in its cookie, the store has its SHA-256; a
// session is live only before both of its ends, while its user is enabled and
// has the stamp that the session began with; what a session may do is what its
// user's role allows at this moment; an answer, and the work for it, is the
// same whether or not there is such a user; what begins, renews or ends a session
// is in the audit log, and in the order in which it happened. Called by the admin
// API; the postgres adapter is both of its stores.
//
// An attempt that is refused leaves nothing in the audit log, only a log line and
// a figure: anyone could fill that log, whose rows are written one after the
// other. Neither does a session that ends by the clock: nobody did that.
package identity

import (
	"context"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// MaxSessions is how many a user has at once; one more ends the oldest.
const MaxSessions = 50

// Ends is how long sessions live.
type Ends struct {
	Idle  time.Duration // without a refresh
	Whole time.Duration // at most
}

// Usual is how long sessions live where nobody decides otherwise.
var Usual = Ends{Idle: 12 * time.Hour, Whole: 30 * 24 * time.Hour}

// Session is one sign-in of one user.
type Session struct {
	ID        id.Session
	UserID    id.User
	Stamp     int64 // the user's SessionStamp when it began
	CreatedAt time.Time
	// RefreshedAt is when it last got a new token; at first CreatedAt.
	RefreshedAt time.Time
	ExpiresAt   time.Time // the idle end, which a refresh moves
	EndsAt      time.Time // the absolute end, which no refresh moves
	// Address and UserAgent are of the last sign-in or refresh, for people to
	// recognise a session by.
	Address   string
	UserAgent string
}

// within returns the session as it is where sessions live so long: it may end
// earlier than was said when it began, never later.
func (s Session) within(e Ends) Session {
	s.EndsAt = earlier(s.EndsAt, s.CreatedAt.Add(e.Whole))
	s.ExpiresAt = earlier(earlier(s.ExpiresAt, s.RefreshedAt.Add(e.Idle)), s.EndsAt)
	return s
}

// live is the rule that Sessions.List repeats in SQL, after within.
func (s Session) live(u users.User, now time.Time) bool {
	return now.Before(s.ExpiresAt) && now.Before(s.EndsAt) && u.DisabledAt == nil && s.Stamp == u.SessionStamp
}

// Current is a live session with its user.
type Current struct {
	Session Session
	User    users.User
}

// Caller is what the user may do, by the role of this moment.
func (c Current) Caller() access.Caller { return callerOf(c.User) }

func callerOf(u users.User) access.Caller {
	return access.Caller{
		Actor:  access.Actor{Kind: access.ActorUser, ID: u.ID.String(), Name: u.Name},
		Scopes: u.Role.Scopes(),
	}
}

// Origin is where a request came from.
type Origin struct {
	Address   netip.Addr // the zero Addr where it is not known
	UserAgent string
	RequestID string
}

// caller is a user who acts from there, with what the journal keeps of a request.
func (o Origin) caller(u users.User) access.Caller {
	c := callerOf(u)
	c.Address, c.RequestID = o.address(), o.RequestID
	return c
}

func (o Origin) address() string {
	if !o.Address.IsValid() {
		return ""
	}
	return o.Address.String()
}

// Accounts finds users by what they type in. Every method answers Unavailable
// where the database cannot be reached.
type Accounts interface {
	// Account returns the user with this username, else the only user with a
	// password and this email address; login is in lower case. ok is false where
	// there is none.
	Account(ctx context.Context, login string) (u users.User, ok bool, err error)
	// Rehash puts a stronger hash of the same password in the place of the old
	// one, where that is still there. It is no change that the journal keeps.
	Rehash(ctx context.Context, user id.User, old, stronger users.PasswordHash) error
}

// Sessions keeps sessions. Every method answers Unavailable where the database
// cannot be reached. Those that write do so in one transaction with the entry of
// their Witness, and report whether there was one.
type Sessions interface {
	// Start adds a session, removes the oldest beyond MaxSessions of its user,
	// which the witness sees, and clears away some that are over.
	Start(ctx context.Context, s Session, d Digest, w Witness) (bool, error)
	// Renew puts a new token and what a refresh moves in the place of the old. The
	// witness sees the session; none where it has the old token no more: of two
	// who refresh with one token one is too late.
	Renew(ctx context.Context, r Renewal, w Witness) (bool, error)
	// End removes sessions, which the witness sees.
	End(ctx context.Context, which Which, w Witness) (bool, error)
	// ByDigest returns the session with a token, live or not, and its user.
	ByDigest(ctx context.Context, d Digest) (c Current, ok bool, err error)
	// ByID returns a session, live or not, and its user; NotFound without one.
	ByID(ctx context.Context, session id.Session) (Current, error)
	// List returns the live sessions, the newest first.
	List(ctx context.Context, f Filter) ([]Session, error)
}

// Witness makes the entry of what was done, in its transaction: of the user as it
// is now, which is locked, so that nobody else begins, renews or ends a session of
// the user until the journal says so; and of the sessions, live or not, to which
// it was done. nil undoes it. It may run again, on what is there then.
type Witness func(u users.User, done []Session) *journal.Entry

// Renewal is a session as it is after a refresh, with its old token and the new.
type Renewal struct {
	Session  Session
	Old, New Digest
}

// Filter narrows a list of sessions.
type Filter struct {
	User  id.User    // none: of all users
	Now   time.Time  // live at this moment
	Ends  Ends       // where sessions live so long
	After id.Session // the last one of the page before
	Limit int
}

// Which names sessions of a user to end: one, or all but one.
type Which struct {
	User   id.User
	One    id.Session // none: all
	Except id.Session
}

// Config is what a Service is made of.
type Config struct {
	Accounts Accounts
	Sessions Sessions
	Users    *users.Service
	Now      func() time.Time
	// Ends returns how long sessions live now; where it is nil, that is Usual. An
	// error is Unavailable.
	Ends func(ctx context.Context) (Ends, error)
	// Wait returns when the time is over, or ctx's error before.
	Wait func(ctx context.Context, d time.Duration) error
	// Hashers is how many passwords are hashed at once; each takes a core and
	// 19 MiB. At least 1.
	Hashers int
}

// Service is what may be done about signing in. Safe for concurrent use.
type Service struct {
	Config
	gate     *gate
	throttle *throttle
	nobody   users.PasswordHash // what an unknown user's password is checked against
	stats    counters
}

// New returns the service. It starts nothing.
func New(c Config) *Service {
	if c.Ends == nil {
		c.Ends = func(context.Context) (Ends, error) { return Usual, nil }
	}
	return &Service{Config: c, gate: newGate(c.Hashers), throttle: newThrottle(), nobody: users.NoPassword()}
}
