package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
)

// recorder is a sink that remembers what it was told.
type recorder struct {
	sync.Mutex
	applied []int64
	ids     []string
	forgets int
	resets  int
	epoch   string
	heard   int64
}

func (r *recorder) Reset(h journal.Head) {
	r.Lock()
	defer r.Unlock()
	r.resets++
	r.epoch, r.heard = h.Epoch, h.Number
}

func (r *recorder) Apply(c journal.Change) {
	r.Lock()
	defer r.Unlock()
	r.applied = append(r.applied, c.Number)
	r.ids = append(r.ids, c.IDs...)
	if c.Forget {
		r.forgets++
	}
}

func (r *recorder) Heard(h journal.Head) {
	r.Lock()
	defer r.Unlock()
	r.heard = h.Number
}

func (r *recorder) see(f func(*recorder) bool) bool {
	r.Lock()
	defer r.Unlock()
	return f(r)
}

// follow runs a follower for the length of the test.
func follow(t testing.TB, db *postgres.DB) *recorder {
	t.Helper()
	r := new(recorder)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		journal.NewFollower(db, func(error) {}, r).Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, "the follower hears the head", func() bool { return r.see(func(r *recorder) bool { return r.resets > 0 }) })
	return r
}

// eventually polls until ok, and fails after 20 seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestNumbersAreInCommitOrderWhateverDies(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h := furnish(t, dsn)
	told := follow(t, h.db)
	var targets []keys.Issued
	for i := range 32 {
		targets = append(targets, h.issue(t, fmt.Sprint("writer ", i)))
	}
	stop := make(chan struct{})
	killed := killBackends(t, dsn, stop)

	var written atomic.Int64
	var writers sync.WaitGroup
	for i := range 32 {
		writers.Go(func() {
			for n := range 25 {
				_, err := h.keys.Update(t.Context(), root(), targets[i].Key.ID, keys.Patch{Name: field.To(fmt.Sprint("name ", n))})
				if err == nil {
					written.Add(1)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	if <-killed == 0 {
		t.Fatal("no transaction was killed: the test proves nothing")
	}
	report := verifyChain(t, h.db)
	// A commit whose answer was lost with the connection is in the log too.
	if report.Rows < 32+written.Load() {
		t.Errorf("%d audit rows for %d answered writes", report.Rows, 32+written.Load())
	}
	eventually(t, "everything is told", func() bool {
		return told.see(func(r *recorder) bool { return r.heard == report.Head.Number })
	})
	told.see(func(r *recorder) bool {
		if !slices.IsSorted(r.applied) || len(slices.Compact(slices.Clone(r.applied))) != len(r.applied) {
			t.Error("changes were told out of order or twice")
		}
		if int64(len(r.applied)) != report.Rows-32 {
			t.Errorf("%d changes were told, %d were written", len(r.applied), report.Rows-32)
		}
		return true
	})
}

// killBackends ends writers' connections, some of them in the middle of a
// transaction, until stop is closed, and then tells how many.
func killBackends(t testing.TB, dsn string, stop chan struct{}) <-chan int {
	t.Helper()
	conn := must[*pgx.Conn](t)(pgx.Connect(t.Context(), dsn))
	total := make(chan int, 1)
	go func() {
		n := 0
		defer func() { _ = conn.Close(context.Background()); total <- n }()
		for {
			var killed int
			err := conn.QueryRow(context.Background(), `
				SELECT count(pg_terminate_backend(pid)) FROM (
				    SELECT pid FROM pg_stat_activity
				    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
				      AND backend_type = 'client backend' ORDER BY random() LIMIT 2
				) AS victims`).Scan(&killed)
			if err != nil {
				t.Errorf("kill backends: %v", err)
				return
			}
			n += killed
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
		}
	}()
	return total
}

func TestFollowerSurvivesARestartOfTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	h := furnish(t, server.DSN())
	told := follow(t, h.db)
	k := h.issue(t, "ci")
	must[keys.Key](t)(h.keys.Disable(t.Context(), root(), k.Key.ID))
	eventually(t, "the first change is told", func() bool {
		return told.see(func(r *recorder) bool { return len(r.applied) == 1 && r.forgets == 1 })
	})
	server.Kill()
	server.Start()
	// Written before the follower can be back: it must catch up from the log.
	eventually(t, "a write succeeds again", func() bool {
		_, err := h.keys.Revoke(t.Context(), root(), k.Key.ID, keys.KeyCompromise)
		return err == nil
	})
	eventually(t, "the second change is told", func() bool {
		return told.see(func(r *recorder) bool { return len(r.applied) == 2 && r.ids[1] == k.Key.ID.String() })
	})
	if told.see(func(r *recorder) bool { return r.resets != 1 }) {
		t.Error("a restart of the same server made everything be forgotten")
	}
}

func TestAnotherServerOrALostTailIsANewHistory(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h := furnish(t, dsn)
	told := follow(t, h.db)
	first := told.epoch
	conn := must[*pgx.Conn](t)(pgx.Connect(t.Context(), dsn))
	defer func() { _ = conn.Close(context.Background()) }()

	// What a restored backup looks like: rows that another system wrote.
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("UPDATE journal_head SET system = 'another/00000001'")
	restored := follow(t, h.db)
	if restored.epoch == first {
		t.Error("a database that another server wrote kept its epoch")
	}
	eventually(t, "the first follower hears of the new epoch", func() bool {
		return told.see(func(r *recorder) bool { return r.resets == 2 && r.epoch == restored.epoch })
	})
	// A log that no longer holds what comes next.
	h.issue(t, "ci")
	exec("UPDATE journal_head SET number = number + 5, low = number + 5")
	eventually(t, "the gap is a reset", func() bool {
		return told.see(func(r *recorder) bool { return r.resets == 3 })
	})
}

func TestTheChainFindsWhatWasAltered(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sql    string
		broken int64
	}{
		"text altered":   {"UPDATE audit_events SET entry = replace(entry, 'key 2', 'key X') WHERE number = 3", 3},
		"column altered": {"UPDATE audit_events SET action = 'key.revoke' WHERE number = 2", 2},
		"row removed":    {"DELETE FROM audit_events WHERE number = 3", 3},
		"tail removed":   {"DELETE FROM audit_events WHERE number = 5", 5},
		"tail and head": {`WITH gone AS (DELETE FROM audit_events WHERE number = 5)
			UPDATE journal_head SET number = 4`, 5},
		"two swapped": {`UPDATE audit_events a SET entry = b.entry, mac = b.mac FROM audit_events b
			WHERE (a.number, b.number) IN ((2, 3), (3, 2))`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.DSN(t)
			h := furnish(t, dsn)
			for i := range 5 {
				h.issue(t, fmt.Sprint("key ", i))
			}
			verifyChain(t, h.db)
			conn := must[*pgx.Conn](t)(pgx.Connect(t.Context(), dsn))
			defer func() { _ = conn.Close(context.Background()) }()
			if _, err := conn.Exec(t.Context(), test.sql); err != nil {
				t.Fatal(err)
			}
			head := must[journal.Head](t)(h.db.Head(t.Context()))
			report := must[journal.Report](t)(journal.NewChain(chainKey).Verify(t.Context(), h.db.AuditRows(t.Context()), head))
			if report.Broken != test.broken {
				t.Errorf("broken at %d (%s), want %d", report.Broken, report.Why, test.broken)
			}
		})
	}
}
