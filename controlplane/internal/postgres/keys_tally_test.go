package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// However keys are written, and however often the tallies are summed up
// meanwhile, they say what counting would.
func TestTalliesAreWhatCountingSays(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h := furnish(t, dsn)
	ctx := t.Context()
	store := h.db.Keys()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for n := range 12 {
				k := must[keys.Issued](t)(h.keys.Issue(ctx, root(), keys.NewKey{Name: "k", Environment: []apikey.Environment{apikey.Live, apikey.Test}[n%2]})).Key.ID
				switch (n + w) % 6 {
				case 0:
					_, err := h.keys.Disable(ctx, root(), k)
					ok(err)
				case 1:
					_, err := h.keys.Rotate(ctx, root(), k, new(1))
					ok(err)
				case 2:
					_, err := h.keys.Revoke(ctx, root(), k, keys.Superseded)
					ok(err)
					ok(h.keys.Delete(ctx, root(), k))
				case 3:
					ok(h.keys.Delete(ctx, root(), k))
				case 4:
					_, err := h.keys.ActOn(ctx, root(), keys.Action{Act: keys.ActTag, AddTags: []string{"t"}, Filter: keys.Filter{Environment: apikey.Test}})
					ok(err)
				}
			}
		})
	}
	all.Go(func() {
		for range 20 {
			ok(store.SumUp(ctx))
		}
	})
	all.Wait()
	conn := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	same := func(when string) {
		t.Helper()
		read := func(sql string) []string {
			rows, err := conn.Query(ctx, sql)
			ok(err)
			return must[[]string](t)(pgx.CollectRows(rows, pgx.RowTo[string]))
		}
		counted := read("SELECT concat_ws(' ', environment, status, count(*)) FROM keys GROUP BY environment, status ORDER BY 1")
		tallied := read("SELECT concat_ws(' ', environment, status, sum(n)) FROM key_tallies GROUP BY environment, status HAVING sum(n) <> 0 ORDER BY 1")
		if diff := cmp.Diff(counted, tallied); diff != "" || len(counted) < 6 {
			t.Errorf("%s: %s %s", when, counted, diff)
		}
	}
	same("written")
	soon := time.Now().Add(2 * time.Hour)
	if n := must[int](t)(store.Restamp(ctx, soon, keys.MaxBatch)); n == 0 {
		t.Error("no rotation has come to its end")
	}
	same("stamped")
	if n := must[int](t)(store.Purge(ctx, soon, keys.MaxBatch, func(k *keys.Key) journal.Entry {
		return journal.Entry{Caller: root(), At: soon, Action: "key.purge", Target: journal.Target{Kind: "key", ID: k.ID.String()}}
	})); n == 0 {
		t.Error("nothing was purged")
	}
	same("purged")
	_, err := conn.Exec(ctx, "INSERT INTO key_tallies SELECT 'live', 'active', i % 3 - 1 FROM generate_series(1, 300) AS i")
	ok(err)
	ok(store.SumUp(ctx))
	same("summed up")
	var rows int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM key_tallies").Scan(&rows); err != nil || rows > 20 {
		t.Errorf("%d tallies are left, %v", rows, err)
	}
}
