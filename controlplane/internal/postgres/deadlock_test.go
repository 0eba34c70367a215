package postgres_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// A change that the server gives up, because another waits for what it has
// locked, is made all the same, once, after that other.
func TestAChangeOutlivesADeadlock(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	ctx := t.Context()
	other, watcher := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn)), must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() {
		_ = other.Close(context.WithoutCancel(ctx))
		_ = watcher.Close(context.WithoutCancel(ctx))
	}()
	// The change is given up long before the other would be, and not before that
	// waits: the server looks once, so long after the wait began.
	for conn, sql := range map[*pgx.Conn]string{
		other:   "SET deadlock_timeout = '1min'",
		watcher: "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET deadlock_timeout = 3000'', current_database()); END'",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what, sql string) {
		t.Helper()
		for so, end := false, time.Now().Add(20*time.Second); !so; {
			if err := watcher.QueryRow(ctx, sql).Scan(&so); err != nil || time.Now().After(end) {
				t.Fatalf("in vain waited until %s: %v", what, err)
			}
		}
	}
	h := furnish(t, dsn)
	ids := []id.Key{h.issue(t, "first").Key.ID, h.issue(t, "second").Key.ID}
	slices.SortFunc(ids, func(a, b id.Key) int { return strings.Compare(a.String(), b.String()) })

	tx := must[pgx.Tx](t)(other.Begin(ctx))
	lock := func(key id.Key) {
		t.Helper()
		if _, err := tx.Exec(ctx, "SELECT FROM keys WHERE id = $1 FOR UPDATE", key.UUID().String()); err != nil {
			t.Fatalf("the other transaction: %v", err)
		}
	}
	lock(ids[1])
	type outcome struct {
		keys.Outcome
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		out, err := h.keys.ActOn(context.WithoutCancel(ctx), root(), keys.Action{
			Act: keys.ActTag, AddTags: []string{"seen"}, Filter: keys.Filter{Scope: "reports:read"},
		})
		done <- outcome{out, err}
	}()
	until("the change waits", "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')")
	lock(ids[0]) // now each waits for the other, until the change is given up
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || got.Outcome != (keys.Outcome{Matched: 2, Changed: 2}) {
		t.Errorf("%+v", got)
	}
	until("the server has counted the deadlock", "SELECT deadlocks > 0 FROM pg_stat_database WHERE datname = current_database()")
	verifyChain(t, h.db)
}
