package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// session is one of a user that is over as soon as it begins, so that whoever
// begins the next clears it away; and the witness of what is done to it.
func session(u users.User) (identity.Session, identity.Witness) {
	now := time.Now()
	s := identity.Session{ID: id.New[id.SessionKind](), UserID: u.ID, Stamp: u.SessionStamp, CreatedAt: now, RefreshedAt: now, ExpiresAt: now, EndsAt: now}
	return s, func(u users.User, _ []identity.Session) *journal.Entry {
		return &journal.Entry{Caller: root(), At: now, Action: "user.sign_in", Target: journal.Target{Kind: "user", ID: u.ID.String(), Name: u.Name}}
	}
}

func digest() (d identity.Digest) {
	for n := range d {
		d[n] = byte(rand.Uint32())
	}
	return d
}

// Whoever changes users, their sessions and their keys at once locks them in one
// order: the server never has to give one of them up.
func TestUsersAndSessionsAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	dsn, ctx := pgtest.DSN(t), t.Context()
	h := furnish(t, dsn)
	const password = "correct horse battery"
	hash := must[users.PasswordHash](t)(users.HashPassword(password))
	people, issued := make([]users.User, 3), make([]keys.Key, 3)
	for i := range people {
		people[i] = must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{
			Name: "somebody", Username: fmt.Sprintf("user%d", i), Role: access.Owner, Password: hash,
		}))
		issued[i] = must[keys.Issued](t)(h.keys.Issue(ctx, root(), keys.NewKey{Name: "ci", OwnerID: people[i].ID, Label: "main"})).Key
	}
	store := h.db.Sessions()
	// begun begins a session and does something with it.
	begun := func(then func(identity.Session, identity.Digest, identity.Witness) error) func(int) error {
		return func(i int) error {
			s, w := session(people[i])
			d := digest()
			if _, err := store.Start(ctx, s, d, w); err != nil {
				return err
			}
			return then(s, d, w)
		}
	}
	acts := []func(i int) error{
		begun(func(s identity.Session, d identity.Digest, w identity.Witness) error {
			_, err := store.Renew(ctx, identity.Renewal{Session: s, Old: d, New: digest()}, w)
			return err
		}),
		begun(func(s identity.Session, _ identity.Digest, w identity.Witness) error {
			_, err := store.End(ctx, identity.Which{User: s.UserID, One: s.ID}, w)
			return err
		}),
		begun(func(s identity.Session, _ identity.Digest, w identity.Witness) error {
			_, err := store.End(ctx, identity.Which{User: s.UserID, Except: s.ID}, w)
			return err
		}),
		func(i int) error { _, err := h.users.EndSessions(ctx, root(), people[i].ID); return err },
		func(i int) error { _, err := h.users.SetPassword(ctx, root(), people[i].ID, hash); return err },
		func(i int) error {
			_, err := h.users.Update(ctx, root(), people[i].ID, users.Patch{Disabled: field.To(true)})
			if err == nil {
				_, err = h.users.Update(ctx, root(), people[i].ID, users.Patch{Disabled: field.To(false)})
			}
			return err
		},
		func(i int) error {
			_, err := h.users.Update(ctx, root(), people[i].ID, users.Patch{Role: field.To(access.Admin)})
			if err == nil {
				_, err = h.users.Update(ctx, root(), people[i].ID, users.Patch{Role: field.To(access.Owner)})
			}
			return err
		},
		func(i int) error {
			_, err := h.keys.Issue(ctx, root(), keys.NewKey{Name: "ci", OwnerID: people[i].ID, Label: "main", Idempotent: true})
			return err
		},
		func(i int) error {
			_, err := h.keys.Revoke(ctx, root(), issued[i].ID, "")
			if err == nil {
				_, err = h.keys.Restore(ctx, root(), issued[i].ID)
			}
			return err
		},
		func(i int) error {
			_, err := h.keys.Rotate(ctx, root(), issued[i].ID, nil)
			return err
		},
	}
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 40 {
				act := random.IntN(len(acts))
				if err := acts[act](random.IntN(len(people))); err != nil && !fault.Is(err, fault.Conflict) {
					t.Errorf("act %d: %v %v", act, err, errors.Unwrap(err))
				}
			}
		})
	}
	all.Wait()
	verifyChain(t, h.db)
	h.db.Close() // its connections tell what they have counted when they end
	watcher := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() { _ = watcher.Close(context.WithoutCancel(ctx)) }()
	for left, end := true, time.Now().Add(20*time.Second); left; {
		err := watcher.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'latchkey')").Scan(&left)
		if err != nil || time.Now().After(end) {
			t.Fatalf("the pool is there still: %v", err)
		}
	}
	deadlocks, sessions := 0, 0
	if err := watcher.QueryRow(ctx, "SELECT deadlocks, (SELECT count(*) FROM audit_events WHERE action = 'user.sign_in') FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks, &sessions); err != nil || deadlocks > 0 || sessions == 0 {
		t.Errorf("%d deadlocks among %d sessions: %v", deadlocks, sessions, err)
	}
}
