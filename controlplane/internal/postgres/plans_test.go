package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
)

// How many keys hang on a plan is exact up to ten thousand, and beyond as good as
// the server's statistics, without counting them.
func TestLiveKeysOfPlans(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h, ctx := furnish(t, dsn), t.Context()
	populate(t, h, dsn, 2_000, 40_000)
	conn := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	estimated := 0
	for _, p := range must[[]plans.Plan](t)(h.plans.List(ctx, root(), plans.Filter{Limit: 10})) {
		var counted int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM keys WHERE plan_id = $1 AND kind = 'api' AND revoked_at IS NULL AND deleted_at IS NULL
			AND retires_at IS NULL AND (expires_at IS NULL OR expires_at > now())`, p.ID.UUID()).Scan(&counted)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		live := must[plans.LiveKeys](t)(h.plans.LiveKeys(ctx, root(), p.ID))
		t.Logf("%s: %+v of %d in %v", p.Slug, live, counted, time.Since(began))
		switch {
		case counted <= plans.CountedKeys && live != (plans.LiveKeys{Count: counted}):
			t.Errorf("%s: %+v, counted %d", p.Slug, live, counted)
		case counted > plans.CountedKeys:
			estimated++
			if !live.Estimated || live.Count <= plans.CountedKeys || live.Count < counted*2/3 || live.Count > counted*3/2 {
				t.Errorf("%s: %+v, counted %d", p.Slug, live, counted)
			}
		}
	}
	if estimated == 0 {
		t.Error("no plan has enough keys for an estimate")
	}
}
