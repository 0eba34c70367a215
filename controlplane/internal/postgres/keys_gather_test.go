package postgres_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// Keys that contain something are listed whole and in order, page after page,
// however many there are of them, wherever they stand together, whether or not
// many are alike in what they are sorted by, and whatever the server believes of
// them.
func TestGatheringLosesNothing(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h, ctx := furnish(t, dsn), t.Context()
	conn := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	chance := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		var batch keys.Batch
		for i := range 1000 {
			k := keys.NewKey{Name: fmt.Sprintf("key-%d.%d", chance.IntN(4), i%7), Tags: []string{"all"}}
			if chance.IntN(3) == 0 {
				at := time.Now().Add(time.Duration(1+chance.IntN(40)) * time.Hour).Truncate(time.Hour)
				k.ExpiresAt = &at
			}
			for tag, oneIn := range map[string]int{"some": 11, "few": 40, "half": 2} {
				if chance.IntN(oneIn) == 0 {
					k.Tags = append(k.Tags, tag)
				}
			}
			if i >= 900 {
				k.Tags, k.Name = append(k.Tags, "together"), "together "+k.Name
			}
			batch.Keys = append(batch.Keys, k)
		}
		must[[]keys.Issued](t)(h.keys.IssueMany(ctx, root(), batch))
	}
	if _, err := conn.Exec(ctx, `UPDATE keys SET last_used_at = date_trunc('minute', now()) - interval '1 minute' * get_byte(digest, 9), last_used_ip = '192.0.2.1' WHERE get_byte(digest, 8) < 100`); err != nil {
		t.Fatal(err)
	}
	var all []keys.Key
	for f := (keys.Filter{Limit: 1000}); len(all) < 3000; f.From(&all[len(all)-1]) {
		all = append(all, must[[]keys.Key](t)(h.db.Keys().List(ctx, f))...)
	}
	for _, believed := range []string{"", "ANALYZE keys", "DELETE FROM pg_statistic WHERE starelid = 'keys'::regclass"} {
		if _, err := conn.Exec(ctx, believed); err != nil {
			t.Fatal(err)
		}
		for name, list := range map[string]struct {
			f    keys.Filter
			some func(k *keys.Key) bool
		}{
			"some":           {keys.Filter{Tag: "some"}, func(k *keys.Key) bool { return slices.Contains(k.Tags, "some") }},
			"few":            {keys.Filter{Tag: "few"}, func(k *keys.Key) bool { return slices.Contains(k.Tags, "few") }},
			"half":           {keys.Filter{Tag: "half"}, func(k *keys.Key) bool { return slices.Contains(k.Tags, "half") }},
			"together":       {keys.Filter{Tag: "together"}, func(k *keys.Key) bool { return slices.Contains(k.Tags, "together") }},
			"a part":         {keys.Filter{Search: "ER KEY-2"}, func(k *keys.Key) bool { return strings.HasPrefix(k.Name, "together key-2") }},
			"a sign":         {keys.Filter{Search: "-3."}, func(k *keys.Key) bool { return strings.Contains(k.Name, "-3.") }},
			"no other sign":  {keys.Filter{Search: "_3/"}, func(*keys.Key) bool { return false }},
			"active, a sign": {keys.Filter{Search: "-3.6", Status: keys.StatusActive}, func(k *keys.Key) bool { return strings.Contains(k.Name, "-3.6") }},
		} {
			var want []keys.Key
			for _, k := range all {
				if list.some(&k) {
					want = append(want, k)
				}
			}
			inEveryOrder(t, h, believed+" "+name, list.f, want)
		}
	}
}

// inEveryOrder reads a list in pages, so small that it is not read at once, and
// holds it against what it should hold.
func inEveryOrder(t *testing.T, h *house, name string, f keys.Filter, want []keys.Key) {
	t.Helper()
	f.Limit, f.At = max(6, len(want)/15), time.Now()
	for _, by := range []keys.SortBy{keys.ByCreation, keys.ByName, keys.ByExpiry, keys.ByLastUse} {
		f.SortBy = by
		slices.SortFunc(want, func(a, b keys.Key) int {
			return cmp.Or(inOrder(by, &a, &b), strings.Compare(a.ID.String(), b.ID.String()))
		})
		for _, f.Ascending = range []bool{false, true} {
			slices.Reverse(want)
			var got []keys.Key
			for page := f; ; page.From(&got[len(got)-1]) {
				next := must[[]keys.Key](t)(h.db.Keys().List(t.Context(), page))
				if got = append(got, next...); len(next) < f.Limit || len(got) > len(want) {
					break
				}
			}
			if !slices.EqualFunc(got, want, func(a, b keys.Key) bool { return a.ID == b.ID }) {
				t.Errorf("%s by %s, ascending %v: %d keys that are not the %d in order", name, by, f.Ascending, len(got), len(want))
			}
		}
	}
}

// inOrder compares keys by what lists are sorted by, before ids do.
func inOrder(by keys.SortBy, a, b *keys.Key) int {
	at := func(moment *time.Time, never time.Time) time.Time {
		if moment == nil {
			return never
		}
		return *moment
	}
	switch by {
	case keys.ByName:
		return strings.Compare(a.Name, b.Name)
	case keys.ByExpiry:
		far := time.Now().AddDate(1000, 0, 0)
		return at(a.ExpiresAt, far).Compare(at(b.ExpiresAt, far))
	case keys.ByLastUse:
		return at(a.LastUsedAt, time.Time{}).Compare(at(b.LastUsedAt, time.Time{}))
	default:
		return 0
	}
}
