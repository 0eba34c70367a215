package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/postgres/seed"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

// crowdSQL makes of seeded keys what a seeder does not: an owner of a fifth of
// all, in one piece; keys in rotation; deleted ones; rare words, and one that only
// old keys have; many expiries; and stamps that the clock has overtaken.
const crowdSQL = `
UPDATE keys SET owner_id = '00000000-0000-7000-8000-000000000001', subscription_id = NULL, plan_id = NULL
WHERE id IN (SELECT id FROM keys ORDER BY id DESC LIMIT 20000);
UPDATE keys SET retires_at = now() + interval '1 day', status = 'retiring', status_until = now() + interval '1 day'
WHERE status = 'active' AND get_byte(digest, 0) = 1;
UPDATE keys SET retires_at = now() - interval '1 day', status = 'retired', status_until = NULL
WHERE status = 'active' AND get_byte(digest, 0) = 2;
UPDATE keys SET deleted_at = now(), revoked_at = now(), status = 'deleted', status_until = NULL WHERE get_byte(digest, 0) = 3;
UPDATE keys SET expires_at = expires_at - interval '1 second' * get_byte(digest, 1) * get_byte(digest, 2) WHERE expires_at > now();
UPDATE keys SET status_until = expires_at WHERE status = 'active' AND expires_at IS NOT NULL;
UPDATE keys SET last_used_at = created_at - interval '1 minute' * get_byte(digest, 5), last_used_ip = '192.0.2.1'
WHERE last_used_at IS NULL AND get_byte(digest, 6) + get_byte(digest, 7) > 7;
UPDATE keys SET tags = '{rare}', scopes = '{rare:read}', name = 'needle ' || name WHERE get_byte(digest, 3) = 7 AND get_byte(digest, 4) < 128;
UPDATE keys SET tags = tags || '{old}' WHERE id IN (SELECT id FROM keys ORDER BY id LIMIT 3000);
UPDATE keys SET expires_at = now() - interval '1 minute', status = 'active', status_until = now() - interval '1 minute'
WHERE id IN (SELECT id FROM keys WHERE status = 'active' ORDER BY digest LIMIT 100);`

// populate seeds a database.
func populate(t testing.TB, h *house, dsn string, people, credentials int) {
	t.Helper()
	_, err := seed.Run(t.Context(), seed.Options{
		DSN: dsn, Population: seed.Population{Users: people, Keys: credentials}, Digester: h.peppers,
		Chain: journal.NewChain(chainKey), Caller: root(), Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// crowded is a database with 100,000 keys.
func crowded(t *testing.T) (*house, []cut) {
	t.Helper()
	dsn := pgtest.DSN(t)
	h := furnish(t, dsn)
	ctx := t.Context()
	populate(t, h, dsn, 10_000, 100_000)
	conn := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, sql := range []string{crowdSQL, "VACUUM ANALYZE keys"} {
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	return h, cuts(t, conn)
}

// node is a part of a plan as it was run.
type node struct {
	Type    string  `json:"Node Type"`
	Rows    float64 `json:"Actual Rows"`
	Loops   float64 `json:"Actual Loops"`
	Removed float64 `json:"Rows Removed by Filter"`
	Recheck float64 `json:"Rows Removed by Index Recheck"`
	Plans   []node  `json:"Plans"`
}

// touched counts the rows that were read from tables, those passed on and those
// dropped, and the entries of indexes that bitmaps were made of, which are no
// rows: what they name may never be read. What only sorts, merges or counts rows
// reads none.
func (n node) touched() (rows, entries float64) {
	switch n.Type {
	case "Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan":
		rows = (n.Rows + n.Removed + n.Recheck) * n.Loops
	case "Bitmap Index Scan":
		entries = n.Rows * n.Loops
	case "Limit", "Sort", "Incremental Sort", "Append", "Merge Append", "Subquery Scan", "Result", "BitmapAnd", "BitmapOr", "Unique", "WindowAgg":
	default:
		panic("is what a " + n.Type + " reads its own?")
	}
	for _, p := range n.Plans {
		more, named := p.touched()
		rows, entries = rows+more, entries+named
	}
	return rows, entries
}

// account reads what the server told of a query.
func account(t *testing.T, text []byte) (rows, entries float64) {
	t.Helper()
	var parts []struct{ Plan node }
	if err := json.Unmarshal(text, &parts); err != nil {
		t.Fatal(err)
	}
	return parts[0].Plan.touched()
}

// touchesFew fails the test where a list touches more than twenty times its page.
func touchesFew(t *testing.T, what string, text []byte) {
	t.Helper()
	if rows, entries := account(t, text); max(rows, entries) > 20*page {
		t.Errorf("%s touches %.0f rows and %.0f entries of bitmaps:\n%s", what, rows, entries, text)
	}
}

// cut is a moment before which a part of all keys expire, and one before which
// that many were last used.
type cut struct {
	percent           float64
	expires, lastUsed time.Time
}

// cuts leave few keys, many, and as many as neither finding them all nor looking
// through all others would do for.
func cuts(t *testing.T, conn *pgx.Conn) (found []cut) {
	t.Helper()
	for _, percent := range []float64{0.2, 1, 4, 30} {
		c := cut{percent: percent}
		err := conn.QueryRow(t.Context(), `
			SELECT percentile_disc($1::float8) WITHIN GROUP (ORDER BY COALESCE(expires_at, 'infinity')),
				percentile_disc($1::float8) WITHIN GROUP (ORDER BY COALESCE(last_used_at, '-infinity'))
			FROM keys WHERE deleted_at IS NULL`, percent/100).Scan(&c.expires, &c.lastUsed)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, c)
	}
	return found
}

// With 100,000 keys every filter alone, and the pairs that people look at, in
// every order, touch at most twenty times the rows of the page: moments wherever
// they cut, and tags, scopes and texts however many keys have them, and wherever
// in the list those stand together.
func TestListsTouchFewRows(t *testing.T) {
	t.Parallel()
	h, cuts := crowded(t)
	ctx := t.Context()
	plan := map[string]id.Plan{}
	for _, p := range must[[]plans.Plan](t)(h.db.Plans().List(ctx, plans.Filter{Limit: 10})) {
		plan[p.Slug] = p.ID
	}
	many := must[[]keys.Key](t)(h.db.Keys().List(ctx, keys.Filter{Ascending: true, SortBy: keys.ByCreation, Limit: 1}))[0]
	api, management, now := apikey.KindAPI, apikey.KindManagement, time.Now().UTC()
	soon, far, past := now.Add(150*24*time.Hour), now.AddDate(10, 0, 0), now.Add(-30*time.Minute)
	yesterday, longAgo := now.AddDate(0, 0, -1), now.AddDate(-5, 0, 0)
	cases := map[string]keys.Filter{
		"nothing": {}, "an owner of a fifth": {OwnerID: users.DefaultID}, "an owner of many": {OwnerID: many.OwnerID},
		"live": {Environment: apikey.Live}, "test": {Environment: apikey.Test}, "api": {Kind: &api}, "management": {Kind: &management},
		"a frequent tag": {Tag: "team/billing"}, "a rare tag": {Tag: "rare"}, "no such tag": {Tag: "none"}, "an old tag": {Tag: "old"},
		"a frequent scope": {Scope: "reports:read"}, "a rare scope": {Scope: "rare:read"},
		"unused for a day": {LastUsedBefore: &yesterday}, "unused for years": {LastUsedBefore: &longAgo},
		"expired before": {ExpiresBefore: &past}, "expires soon": {ExpiresBefore: &soon}, "expires some day": {ExpiresBefore: &far},
		"a word of all": {Search: "seeded"}, "a rare word": {Search: "needle"}, "one name": {Search: "seeded 777"}, "no such word": {Search: "haystack"},
		"a start": {Search: many.Start}, "last four": {Search: many.Last4},
	}
	for _, scope := range []string{"orders:write", "exports:run", "users:read", "webhooks:write"} {
		cases[scope] = keys.Filter{Scope: scope}
	}
	for _, text := range []string{"d 7", "d 77", "123", "99 ", "live", "test_a", "---", "d-7", "💥💥💥", "lk_"} {
		cases["text "+text] = keys.Filter{Search: text}
	}
	cases["active, unused for a day"] = keys.Filter{Status: keys.StatusActive, LastUsedBefore: &yesterday}
	cases["an owner's, unused for years"] = keys.Filter{OwnerID: users.DefaultID, LastUsedBefore: &longAgo}
	cases["active, expires soon"] = keys.Filter{Status: keys.StatusActive, ExpiresBefore: &soon}
	cases["revoked, a word of all"] = keys.Filter{Status: keys.StatusRevoked, Search: "seeded"}
	cases["a plan's, a frequent tag"] = keys.Filter{PlanID: plan["seed-free"], Tag: "team/billing"}
	cases["a plan's, a rare tag"] = keys.Filter{PlanID: plan["seed-free"], Tag: "rare"}
	cases["active, expired"] = keys.Filter{Status: keys.StatusActive, ExpiresBefore: &past} // there is none
	within := map[string]keys.Filter{}
	within["a plan's, a middling scope"] = keys.Filter{PlanID: plan["seed-free"], Scope: "users:read"}
	within["active, a part of names"] = keys.Filter{Status: keys.StatusActive, Search: "d 77"}
	within["an owner's, a middling scope"] = keys.Filter{OwnerID: users.DefaultID, Scope: "webhooks:write"}
	within["a middling scope and a part of names"] = keys.Filter{Scope: "orders:write", Search: "d 7"}
	within["a middling scope, expires soon"] = keys.Filter{Scope: "webhooks:write", ExpiresBefore: &soon}
	for place, led := range map[string]keys.Filter{
		"": {}, "active": {Status: keys.StatusActive}, "an owner's": {OwnerID: users.DefaultID}, "a plan's": {PlanID: plan["seed-free"]},
	} {
		into := within
		if place == "" {
			into = cases
		}
		for _, c := range cuts {
			expires, unused, both := led, led, led
			expires.ExpiresBefore, unused.LastUsedBefore, both.ExpiresBefore, both.LastUsedBefore = &c.expires, &c.lastUsed, &c.expires, &c.lastUsed
			into[fmt.Sprintf("%s expire, %v %%", place, c.percent)] = expires
			into[fmt.Sprintf("%s unused, %v %%", place, c.percent)] = unused
			into[fmt.Sprintf("%s both, %v %%", place, c.percent)] = both
		}
	}
	for slug, p := range plan {
		cases["plan "+slug] = keys.Filter{PlanID: p}
	}
	for _, status := range keys.Statuses {
		cases[string(status)] = keys.Filter{Status: status}
		cases[string(status)+" of an owner"] = keys.Filter{Status: status, OwnerID: users.DefaultID}
		for slug, p := range plan {
			cases[string(status)+" of plan "+slug] = keys.Filter{Status: status, PlanID: p}
		}
	}
	most(t, h, cases, now, 20*page)
	// With more than that at once the server guesses, and takes at most this.
	most(t, h, within, now, math.Sqrt(2*page*100_000))
}

// page is the size of a list's page.
const page = 50

// most asks for the first page of each list in every order, and for one behind
// it, and holds the rows that it touches to a limit.
func most(t *testing.T, h *house, cases map[string]keys.Filter, now time.Time, limit float64) {
	t.Helper()
	worst, at := 0.0, ""
	for name, f := range cases {
		for _, by := range []keys.SortBy{keys.ByCreation, keys.ByName, keys.ByExpiry, keys.ByLastUse} {
			for _, ascending := range []bool{true, false} {
				f.SortBy, f.Ascending, f.Limit, f.At = by, ascending, page+1, now
				for range 2 {
					all, n, entries := explained(t, h, f)
					if n > limit || entries > 2*100_000 {
						t.Errorf("%s by %s (ascending: %v, after %s) touches %.0f rows and %.0f entries of bitmaps", name, by, ascending, f.After, n, entries)
					}
					if n > worst {
						worst, at = n, name+" by "+string(by)
					}
					if len(all) <= page {
						break
					}
					f.From(&all[len(all)-1])
				}
				f.After = id.Key{}
			}
		}
	}
	t.Logf("at most %.0f rows for a page of %d: %s", worst, page, at)
}

// explained returns a list, and counts the rows that it touches.
func explained(t *testing.T, h *house, f keys.Filter) (list []keys.Key, rows, entries float64) {
	t.Helper()
	list, texts, err := h.db.ExplainKeys(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		more, named := account(t, text)
		rows, entries = rows+more, entries+named
	}
	return list, rows, entries
}
