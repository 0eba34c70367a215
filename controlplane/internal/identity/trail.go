package identity

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// trace is what an entry says of sessions: by their ids, never of a token. The
// entry is about their user, so that all that was done to the sessions of one, by
// whomever, is found under one target. It touches nothing: no cache depends on a
// session.
type trace struct {
	Session   id.Session   `json:"session,omitzero"`
	Sessions  []id.Session `json:"sessions,omitempty"`
	ExpiresAt time.Time    `json:"expires_at,omitzero"`
}

// deed is what is done to sessions, and who does it.
type deed struct {
	action string
	caller access.Caller
}

func (d deed) entry(u users.User, at time.Time) *journal.Entry {
	return &journal.Entry{
		Caller: d.caller, At: at, Action: d.action,
		Target: journal.Target{Kind: "user", ID: u.ID.String(), Name: u.Name},
	}
}

// signedIn witnesses that a session begins, unless its user is not any more who
// it begins for. Where it is one too many, the entry names those that ended for it.
func signedIn(s Session, ends Ends, from Origin) Witness {
	return func(u users.User, removed []Session) *journal.Entry {
		if !s.live(u, s.CreatedAt) {
			return nil
		}
		e := deed{"user.sign_in", from.caller(u)}.entry(u, s.CreatedAt)
		e.After = trace{Session: s.ID, ExpiresAt: s.ExpiresAt}
		if over := lived(removed, u, ends, s.CreatedAt); len(over) > 0 {
			e.Before = trace{Sessions: over}
		}
		return e
	}
}

// refreshed witnesses that a session gets a new token and another idle end.
func refreshed(before, after Session, from Origin) Witness {
	return func(u users.User, renewed []Session) *journal.Entry {
		if len(renewed) == 0 || !before.live(u, after.RefreshedAt) {
			return nil
		}
		e := deed{"user.refresh_session", from.caller(u)}.entry(u, after.RefreshedAt)
		e.Before = trace{Session: before.ID, ExpiresAt: before.ExpiresAt}
		e.After = trace{Session: after.ID, ExpiresAt: after.ExpiresAt}
		return e
	}
}

// end ends sessions. Those that were over already did not end by this, and where
// there are no others nothing was done.
func (s *Service) end(ctx context.Context, which Which, d deed) error {
	ends, err := s.Ends(ctx)
	if err != nil {
		return err
	}
	now := clock.Stored(s.Now())
	_, err = s.Sessions.End(ctx, which, func(u users.User, removed []Session) *journal.Entry {
		over := lived(removed, u, ends, now)
		if len(over) == 0 {
			return nil
		}
		e := d.entry(u, now)
		if e.Before = (trace{Sessions: over}); !which.One.IsZero() {
			e.Before = trace{Session: which.One}
		}
		return e
	})
	return err
}

// lived are the ids of the sessions that were live until now.
func lived(all []Session, u users.User, ends Ends, now time.Time) (ids []id.Session) {
	for _, s := range all {
		if s.within(ends).live(u, now) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
