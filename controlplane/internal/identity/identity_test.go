package identity_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

func TestMain(m *testing.M) { pgtest.Run(m) }

const password = "correct horse battery"

// house is identity over a database of its own, with a clock that the test moves.
type house struct {
	*identity.Service
	db     *postgres.DB
	now    atomic.Pointer[time.Time]
	waited atomic.Int64 // nanoseconds
	// meanwhile, where it is not nil, is done between what was read of an account
	// or a session and what is written by that.
	meanwhile func()
}

// Account implements identity.Accounts.
func (h *house) Account(ctx context.Context, login string) (users.User, bool, error) {
	u, ok, err := h.db.Users().Account(ctx, login)
	if h.meanwhile != nil {
		h.meanwhile()
	}
	return u, ok, err
}

// sessions are the house's.
type sessions struct {
	*postgres.Sessions
	h *house
}

// Renew implements identity.Sessions.
func (s sessions) Renew(ctx context.Context, r identity.Renewal, w identity.Witness) (bool, error) {
	if s.h.meanwhile != nil {
		s.h.meanwhile()
	}
	return s.Sessions.Renew(ctx, r, w)
}

// Rehash implements identity.Accounts.
func (h *house) Rehash(ctx context.Context, user id.User, old, stronger users.PasswordHash) error {
	return h.db.Users().Rehash(ctx, user, old, stronger)
}

func build(t *testing.T) *house {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{DSN: pgtest.DSN(t), Chain: journal.NewChain([32]byte{1}), MaxConns: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	h := &house{db: db}
	h.set(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	now := func() time.Time { return *h.now.Load() }
	h.Service = identity.New(identity.Config{
		Accounts: h, Sessions: sessions{db.Sessions(), h}, Users: users.New(db.Users(), now), Now: now, Hashers: 1,
		Wait: func(_ context.Context, d time.Duration) error { h.waited.Add(int64(d)); return nil },
	})
	return h
}

func (h *house) set(to time.Time)     { h.now.Store(&to) }
func (h *house) move(d time.Duration) { h.set(h.now.Load().Add(d)) }

// user makes a user with the password.
func (h *house) user(t *testing.T, in users.NewUser) users.User {
	t.Helper()
	hash, err := users.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	if in.Name, in.Password = "Ada", orHash(in.Password, hash); in.Role == "" {
		in.Role = access.Viewer
	}
	u, err := h.Users.Create(t.Context(), access.CLI("test"), in)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func orHash(given, otherwise users.PasswordHash) users.PasswordHash {
	if given != "" {
		return given
	}
	return otherwise
}

func (h *house) signIn(t *testing.T, login, pass string) identity.Result {
	t.Helper()
	r, err := h.SignIn(t.Context(), identity.Attempt{Login: login, Password: pass, From: origin(1)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func origin(network byte) identity.Origin {
	return identity.Origin{Address: netip.AddrFrom4([4]byte{192, 0, 2, network}), UserAgent: "test"}
}

func (h *house) live(t *testing.T, token identity.Token) bool {
	t.Helper()
	_, ok, err := h.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestASessionEndsByTheClock(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.user(t, users.NewUser{Username: "ada"})
	began := *h.now.Load()
	token := h.signIn(t, "ada", password).Token
	h.move(identity.Usual.Idle - time.Second)
	if !h.live(t, token) {
		t.Error("it ended before its idle end")
	}
	h.move(time.Second)
	if h.live(t, token) {
		t.Error("it lives past its idle end")
	}
	if _, _, ok, err := h.Refresh(t.Context(), token, origin(1)); ok || err != nil {
		t.Errorf("a session that is over was refreshed: %v", err)
	}

	h.set(began)
	token = h.signIn(t, "ada", password).Token
	for end := began.Add(identity.Usual.Whole); h.now.Load().Before(end); h.move(identity.Usual.Idle - time.Hour) {
		renewed, c, ok, err := h.Refresh(t.Context(), token, origin(2))
		if err != nil || !ok {
			t.Fatalf("at %v: %v", h.now.Load(), err)
		}
		if h.live(t, token) || !h.live(t, renewed) || c.Session.ExpiresAt.After(end) || c.Session.Address != "192.0.2.2" {
			t.Fatalf("at %v: %+v", h.now.Load(), c.Session)
		}
		token = renewed
	}
	h.set(began.Add(identity.Usual.Whole).Add(-time.Second))
	if !h.live(t, token) {
		t.Error("it ended before its absolute end")
	}
	h.move(time.Second)
	if h.live(t, token) {
		t.Error("it lives past its absolute end")
	}
}

// Of many who refresh with one token, one gets the session.
func TestOneRefreshWins(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.user(t, users.NewUser{Username: "ada"})
	token := h.signIn(t, "ada", password).Token
	var won atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, _, ok, err := h.Refresh(t.Context(), token, origin(1)); err != nil {
				t.Error(err)
			} else if ok {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d won", won.Load())
	}
}

// What ends a user's sessions also ends one that was begun from what the user
// was before, as a sign-in does that a new password overtakes.
func TestASessionOfYesterdaysPasswordIsOver(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*house, users.User) error{
		"another password": func(h *house, u users.User) error {
			return h.SetPassword(t.Context(), access.CLI("test"), u.ID, "another password")
		},
		"disabled, and enabled again": func(h *house, u users.User) error {
			for _, off := range []bool{true, false} {
				if _, err := h.Users.Update(t.Context(), access.CLI("test"), u.ID, users.Patch{Disabled: field.To(off)}); err != nil {
					return err
				}
			}
			return nil
		},
		"signed out everywhere": func(h *house, u users.User) error {
			_, err := h.Users.EndSessions(t.Context(), access.CLI("test"), u.ID)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			u := h.user(t, users.NewUser{Username: "ada"})
			before := h.signIn(t, "ada", password)
			h.meanwhile = func() {
				if err := end(h, u); err != nil {
					t.Error(err)
				}
			}
			if r := h.signIn(t, "ada", password); r.Outcome != identity.Refused || !r.Token.IsZero() {
				t.Errorf("one that was overtaken: %v", r.Outcome)
			}
			if h.live(t, before.Token) {
				t.Error("the session lives")
			}
			if left, err := h.List(t.Context(), access.CLI("test"), identity.Filter{Limit: 10}); err != nil || len(left) != 0 {
				t.Errorf("%d sessions are listed, %v", len(left), err)
			}
			if got := h.actions(t); slices.Contains(got[2:], "user.sign_in") {
				t.Errorf("what was overtaken is in the audit log: %v", got)
			}
		})
	}
}

func TestAUserHasSoManySessions(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := h.user(t, users.NewUser{Username: "ada"})
	first := h.signIn(t, "ada", password)
	fill := func(i byte) {
		h.move(time.Millisecond)
		s := first.Current.Session
		s.ID = id.New[id.SessionKind]()
		began, err := h.Sessions.Start(t.Context(), s, identity.Digest{1, i}, func(u users.User, _ []identity.Session) *journal.Entry {
			return &journal.Entry{Caller: access.CLI("test"), At: *h.now.Load(), Action: "user.fill", Target: journal.Target{Kind: "user", ID: u.ID.String()}}
		})
		if !began || err != nil {
			t.Fatal(began, err)
		}
	}
	for i := range identity.MaxSessions - 1 {
		fill(byte(i))
	}
	h.signIn(t, "ada", password)
	if last := h.events(t, u.ID)[0]; last.Action != "user.sign_in" || string(last.Before) != `{"sessions":["`+first.Current.Session.ID.String()+`"]}` {
		t.Errorf("the sign-in that ended the oldest: %s %s", last.Action, last.Before)
	}
	all, err := h.List(t.Context(), access.CLI("test"), identity.Filter{User: u.ID, Limit: 200})
	if err != nil || len(all) != identity.MaxSessions || h.live(t, first.Token) {
		t.Errorf("%d sessions, %v", len(all), err)
	}
}
