package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// queue makes transactions of a database wait, and tells how many do.
type queue struct {
	t       *testing.T
	dsn     string
	watcher *pgx.Conn
}

func newQueue(t *testing.T, dsn string) *queue {
	q := &queue{t: t, dsn: dsn}
	q.watcher = q.connect()
	return q
}

func (q *queue) connect() *pgx.Conn {
	q.t.Helper()
	conn := must[*pgx.Conn](q.t)(pgx.Connect(q.t.Context(), q.dsn))
	q.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(q.t.Context())) })
	return conn
}

// lock runs a statement in a transaction of its own, and returns what ends it.
func (q *queue) lock(sql string, args ...any) (release func()) {
	tx := must[pgx.Tx](q.t)(q.connect().Begin(q.t.Context()))
	if _, err := tx.Exec(q.t.Context(), sql, args...); err != nil {
		q.t.Errorf("%s: %v", sql, err)
	}
	return func() {
		if err := tx.Rollback(q.t.Context()); err != nil {
			q.t.Error(err)
		}
	}
}

// holdHead lets changes go as far as to the journal.
func (q *queue) holdHead() (release func()) { return q.lock("SELECT FROM journal_head FOR UPDATE") }

// until waits until so many transactions wait for a lock.
func (q *queue) until(waiting int) {
	q.t.Helper()
	for n, end := -1, time.Now().Add(20*time.Second); n != waiting; {
		err := q.watcher.QueryRow(q.t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n)
		if err != nil || time.Now().After(end) {
			q.t.Fatalf("%d transactions wait for a lock, and not %d: %v", n, waiting, err)
		}
	}
}

// What a key was when a change began is not what counts: of what comes back
// after it was taken away in between, the owner must have room for it.
func TestWhatIsOvertakenIsDecidedAnew(t *testing.T) {
	t.Parallel()
	past, none := time.Now().Add(-time.Hour), (*time.Time)(nil)
	for name, test := range map[string]struct {
		away, back func(*house, context.Context, id.Key) error
	}{
		"a restore by a revocation": {
			func(h *house, ctx context.Context, k id.Key) error {
				_, err := h.keys.Revoke(ctx, root(), k, keys.Superseded)
				return err
			},
			func(h *house, ctx context.Context, k id.Key) error {
				_, err := h.keys.Restore(ctx, root(), k)
				return err
			},
		},
		"a new expiry by an earlier one": {
			func(h *house, ctx context.Context, k id.Key) error {
				_, err := h.keys.Update(ctx, root(), k, keys.Patch{ExpiresAt: field.Change[*time.Time]{Present: true, Value: &past}})
				return err
			},
			func(h *house, ctx context.Context, k id.Key) error {
				_, err := h.keys.Update(ctx, root(), k, keys.Patch{ExpiresAt: field.Change[*time.Time]{Present: true, Value: none}})
				return err
			},
		},
	} {
		for rule, owner := range map[fault.Code]users.NewUser{keys.CodeMaxKeys: {Name: "of one key", MaxKeys: new(1)}, fault.CodeTaken: {Name: "of one label"}} {
			t.Run(name+" "+string(rule), func(t *testing.T) {
				t.Parallel()
				dsn, ctx := pgtest.DSN(t), t.Context()
				h, q := furnish(t, dsn), newQueue(t, dsn)
				in := keys.NewKey{Name: "k", OwnerID: must[users.User](t)(h.users.Create(ctx, root(), owner)).ID}
				if rule == fault.CodeTaken {
					in.Label = "ci"
				}
				key := must[keys.Issued](t)(h.keys.Issue(ctx, root(), in)).Key.ID

				commit := q.holdHead()
				away, next, back := make(chan error, 1), make(chan func(), 1), make(chan error, 1)
				go func() { away <- test.away(h, ctx, key) }()
				q.until(1)
				go func() { next <- q.lock("SELECT FROM keys WHERE id = $1 FOR UPDATE", key.UUID().String()) }()
				q.until(2)
				go func() { back <- test.back(h, ctx, key) }() // it has read the key as it was
				q.until(3)
				commit()
				if err := <-away; err != nil {
					t.Fatal(err)
				}
				goOn := <-next
				must[keys.Issued](t)(h.keys.Issue(ctx, root(), in))
				goOn()
				if f, ok := errors.AsType[*fault.Error](<-back); !ok || f.Code != rule {
					t.Errorf("a second one is live: %v", f)
				}
			})
		}
	}
}

// A bulk action reaches what a key becomes while the action waits for it.
func TestABulkActionReachesWhatIsRotatedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, act := range []keys.Act{keys.ActDisable, keys.ActRevoke} {
		t.Run(string(act), func(t *testing.T) {
			t.Parallel()
			dsn, ctx := pgtest.DSN(t), t.Context()
			h, q := furnish(t, dsn), newQueue(t, dsn)
			key := h.issue(t, "k").Key.ID
			commit := q.holdHead()
			next, done := make(chan keys.Issued, 1), make(chan keys.Outcome, 1)
			go func() {
				issued, err := h.keys.Rotate(ctx, root(), key, new(0))
				if err != nil {
					t.Error(err)
				}
				next <- issued
			}()
			q.until(1)
			go func() {
				out, err := h.keys.ActOn(ctx, root(), keys.Action{Act: act, Filter: keys.Filter{Status: keys.StatusActive}})
				if err != nil {
					t.Error(err)
				}
				done <- out
			}()
			q.until(2)
			commit()
			successor := (<-next).Key.ID
			if out := <-done; out.Matched != 1 || out.Changed != 1 {
				t.Errorf("%+v", out)
			}
			if k := must[keys.Key](t)(h.keys.ByID(ctx, root(), successor)); k.Status(time.Now()) == keys.StatusActive {
				t.Error("the key lives on as its successor")
			}
		})
	}
}

// Who waits too long for what others change is told so, and has changed nothing.
func TestAWaitForOthersEnds(t *testing.T) {
	t.Parallel()
	dsn, ctx := pgtest.DSN(t), t.Context()
	address := must[*url.URL](t)(url.Parse(dsn))
	query := address.Query()
	query.Set("lock_timeout", "100")
	address.RawQuery = query.Encode()
	h, q := furnish(t, address.String()), newQueue(t, dsn)
	key := h.issue(t, "k").Key.ID
	release := q.lock("SELECT FROM keys WHERE id = $1 FOR UPDATE", key.UUID().String())
	_, err := h.keys.Disable(ctx, root(), key)
	if !fault.Is(err, fault.Unavailable) || !strings.HasPrefix(err.Error(), "others are changing the same things at this moment") {
		t.Errorf("while another holds the key: %v", err)
	}
	release()
	if k := must[keys.Key](t)(h.keys.Disable(ctx, root(), key)); k.Version != 2 {
		t.Errorf("it was changed %d times", k.Version-1)
	}
}
