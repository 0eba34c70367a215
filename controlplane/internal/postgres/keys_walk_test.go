package postgres_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

// A list that is walked loses nothing where what it looks for is thick in one
// range of an index and begins far down another.
func TestAWalkLosesNothing(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h, ctx := furnish(t, dsn), t.Context()
	both := []apikey.Environment{apikey.Live, apikey.Test}
	for _, part := range []struct {
		name   string
		places []apikey.Environment
	}{{"needle", both}, {"other", both[1:]}, {"needle", both[:1]}} { // the newest last
		var batch keys.Batch
		for i := range 300 {
			batch.Keys = append(batch.Keys, keys.NewKey{Name: part.name, Environment: part.places[i%len(part.places)], Tags: []string{part.name}})
		}
		must[[]keys.Issued](t)(h.keys.IssueMany(ctx, root(), batch))
	}
	conn := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "ANALYZE keys"); err != nil {
		t.Fatal(err)
	}
	api := apikey.KindAPI
	read := func(f keys.Filter) (all []id.Key) {
		for k, err := range h.keys.All(ctx, root(), f) {
			if err != nil {
				t.Fatal(err)
			}
			if k.Name == "needle" {
				all = append(all, k.ID)
			}
		}
		return all
	}
	for _, order := range []keys.SortBy{keys.ByCreation, keys.ByName, keys.ByExpiry, keys.ByLastUse} {
		for _, ascending := range []bool{false, true} {
			plain := keys.Filter{Kind: &api, SortBy: order, Ascending: ascending}
			want := read(plain)
			for name, f := range map[string]keys.Filter{"search": {Search: "needle"}, "tag": {Tag: "needle"}} {
				f.Kind, f.SortBy, f.Ascending, f.Limit = plain.Kind, order, ascending, 5
				var got []id.Key
				for {
					page := must[[]keys.Key](t)(h.keys.List(ctx, root(), f))
					for _, k := range page {
						got = append(got, k.ID)
					}
					if len(page) < f.Limit {
						break
					}
					f.From(&page[len(page)-1])
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s by %s, ascending %v: %d keys in pages, want %d", name, order, ascending, len(got), len(want))
				}
			}
		}
	}
}

// Keys of batches that were issued at the same moment may be older by id than by
// time; pages that are walked and pages that are gathered go on in one order.
func TestPagesGoOnInOneOrder(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h, ctx := furnish(t, dsn), t.Context()
	for range 2 {
		batch := keys.Batch{Keys: make([]keys.NewKey, 1000)}
		for i := range batch.Keys {
			batch.Keys[i].Name = "one of many"
		}
		must[[]keys.Issued](t)(h.keys.IssueMany(ctx, root(), batch))
	}
	conn := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err := conn.Exec(ctx, `
		WITH r AS (SELECT id, row_number() OVER (ORDER BY id) n FROM keys)
		UPDATE keys k SET created_at = date_trunc('hour', now()) + interval '1 ms' * (n % 2), tags = CASE WHEN n % 2 = 1 OR n < 1400 THEN '{x}'::text[] ELSE '{}' END
		FROM r WHERE r.id = k.id;
		ANALYZE keys`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	api := apikey.KindAPI
	for name, f := range map[string]keys.Filter{"owner": {OwnerID: users.DefaultID}, "status": {Status: keys.StatusActive}, "kind": {Kind: &api}} {
		n := 0
		for f.Tag, f.SortBy, f.Limit, f.At = "x", keys.ByCreation, 20, time.Now(); ; {
			page := must[[]keys.Key](t)(h.db.Keys().List(ctx, f))
			if n += len(page); len(page) < f.Limit {
				break
			}
			f.From(&page[len(page)-1])
		}
		if n != 1699 {
			t.Errorf("by %s: %d keys of 1699", name, n)
		}
	}
}
