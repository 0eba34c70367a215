package seed_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
	"github.com/latchkey/latchkey/controlplane/internal/postgres/seed"
	"github.com/latchkey/latchkey/controlplane/internal/records"
	"github.com/latchkey/latchkey/shared/apikey"
)

func TestMain(m *testing.M) { pgtest.Run(m) }

func TestSecretsAreKeys(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for n := range 2000 {
		secret := seed.Secret(n)
		token, ok := apikey.Prefixes{seed.Prefix}.Parse(secret)
		if !ok || token.Kind != apikey.KindAPI {
			t.Fatalf("number %d is no API key", n)
		}
		seen[secret] = true
	}
	if len(seen) != 2000 {
		t.Errorf("2000 numbers have %d secrets", len(seen))
	}
	if seed.Secret(7) != seed.Secret(7) {
		t.Error("a secret is another one the second time")
	}
}

// house is a database with what is needed to seed and to judge.
type house struct {
	db      *postgres.DB
	chain   *journal.Chain
	source  *records.Source
	options seed.Options
}

func furnish(t *testing.T, p seed.Population) *house {
	t.Helper()
	dsn, chain := pgtest.DSN(t), journal.NewChain([32]byte{1})
	db, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn, Chain: chain})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	peppers, err := records.OpenPeppers(t.Context(), []records.Pepper{{ID: "p1", Secret: []byte("a pepper for tests, of more than 32 bytes")}}, db.Peppers())
	if err != nil {
		t.Fatal(err)
	}
	return &house{
		db: db, chain: chain, source: records.NewSource(db.Records(), peppers),
		options: seed.Options{DSN: dsn, Population: p, Digester: peppers, Chain: chain, Caller: access.CLI("tester"), Now: time.Now()},
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()
	p := seed.Population{Users: 300, Keys: 3000}
	h := furnish(t, p)
	before := pieces(t, h.options.DSN)
	heard := map[string]int{}
	h.options.Progress = func(table string, done, of int) {
		if done == of {
			heard[table]++
		}
	}
	result, err := seed.Run(t.Context(), h.options)
	if err != nil {
		t.Fatal(err)
	}
	if result.Users != p.Users || result.Keys != p.Keys || result.Subscriptions < 200 {
		t.Errorf("wrote %+v", result)
	}
	if want := map[string]int{"users": 1, "subscriptions": 1, "keys": 1, "indexes": 1}; !cmp.Equal(want, heard) {
		t.Errorf("progress: %s", cmp.Diff(want, heard))
	}
	if after := pieces(t, h.options.DSN); !cmp.Equal(before, after) {
		t.Errorf("the table has other indexes and constraints than before: %s", cmp.Diff(before, after))
	}
	h.verify(t, 1)

	if !p.Good(0) {
		t.Error("key 0 is not good")
	}
	good := 0
	for n := range p.Keys {
		if h.admits(t, n) != p.Good(n) {
			t.Errorf("key %d: admitted %v, Good says %v", n, !p.Good(n), p.Good(n))
		}
		if p.Good(n) {
			good++
		}
	}
	if good < p.Keys/2 || good > p.Keys*9/10 {
		t.Errorf("%d of %d keys are good", good, p.Keys)
	}

	if _, err := seed.Run(t.Context(), h.options); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second time: %v", err)
	}
	h.verify(t, 1)
}

// admits reports whether a door lets a key in, from somewhere to somewhere.
func (h *house) admits(t *testing.T, n int) bool {
	t.Helper()
	answer, err := h.source.Lookup(t.Context(), apikey.FingerprintOf(seed.Secret(n)))
	if err != nil || !answer.Found {
		t.Fatalf("key %d: found %v, %v", n, answer.Found, err)
	}
	return apikey.Valid == apikey.Decide(apikey.InstantOf(time.Now()), &answer.Record, &apikey.Request{
		IP: netip.MustParseAddr("198.51.100.7"), Method: "GET", Path: "/",
	})
}

func (h *house) verify(t *testing.T, rows int64) {
	t.Helper()
	head, err := h.db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	report, err := h.chain.Verify(t.Context(), h.db.AuditRows(t.Context()), head)
	if err != nil || report.Broken != 0 || report.Rows != rows {
		t.Errorf("audit chain: %+v, %v", report, err)
	}
}

func TestSeedIsAllOrNothing(t *testing.T) {
	t.Parallel()
	h := furnish(t, seed.Population{Users: 50, Keys: 100})
	before := pieces(t, h.options.DSN)
	ctx, cancel := context.WithCancel(t.Context())
	h.options.Progress = func(table string, _, _ int) {
		if table == "indexes" {
			cancel() // half-way: some are made again, some are not
		}
	}
	if _, err := seed.Run(ctx, h.options); err == nil {
		t.Fatal("seeding went on after its end")
	}
	if after := pieces(t, h.options.DSN); !cmp.Equal(before, after) {
		t.Errorf("the table has other indexes and constraints than before: %s", cmp.Diff(before, after))
	}
	h.verify(t, 0)
	h.options.Progress = nil
	if _, err := seed.Run(t.Context(), h.options); err != nil {
		t.Errorf("the next time: %v", err)
	}
}

func TestSeedRefusesSizes(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]seed.Population{"no users": {Users: 0, Keys: 1}, "no keys": {Users: 1, Keys: 0}, "negative": {Users: -1, Keys: -1}} {
		if _, err := seed.Run(t.Context(), seed.Options{Population: p}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pieces are the definitions of the indexes and constraints of keys.
func pieces(t *testing.T, dsn string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), `
		SELECT pg_get_indexdef(indexrelid) AS d FROM pg_index WHERE indrelid = 'keys'::regclass
		UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'keys'::regclass
		ORDER BY d`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}
