package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
	"github.com/latchkey/latchkey/controlplane/internal/records"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

func TestMain(m *testing.M) { pgtest.Run(m) }

var chainKey = [32]byte{1, 2, 3}

// house is the domains over one database, as the program wires them.
type house struct {
	db            *postgres.DB
	users         *users.Service
	plans         *plans.Service
	subscriptions *subscriptions.Service
	keys          *keys.Service
	peppers       *records.Peppers
	source        *records.Source
}

func open(t testing.TB, dsn string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{DSN: dsn, Chain: journal.NewChain(chainKey), MaxConns: 40})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func pepper(id string) records.Pepper {
	return records.Pepper{ID: id, Secret: []byte("a secret of at least thirty-two bytes: " + id)}
}

func furnish(t testing.TB, dsn string, peppers ...records.Pepper) *house {
	t.Helper()
	if len(peppers) == 0 {
		peppers = []records.Pepper{pepper("p1")}
	}
	db := open(t, dsn)
	p, err := records.OpenPeppers(t.Context(), peppers, db.Peppers())
	if err != nil {
		t.Fatal(err)
	}
	return &house{
		db: db, peppers: p, source: records.NewSource(db.Records(), p),
		users: users.New(db.Users(), time.Now), plans: plans.New(db.Plans(), db.Limits(), time.Now),
		subscriptions: subscriptions.New(db.Subscriptions(), db.Plans(), time.Now),
		keys: keys.New(keys.Config{
			Store: db.Keys(), Facts: keys.Facts{Owners: db.Users(), Plans: db.Plans(), Subscriptions: db.Subscriptions()},
			Digest: p, Prefix: "lk", Now: time.Now,
		}),
	}
}

func root() access.Caller { return access.CLI("tester") }

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// issue makes a key with everything that a record can have.
func (h *house) issue(t testing.TB, name string) keys.Issued {
	t.Helper()
	return must[keys.Issued](t)(h.keys.Issue(t.Context(), root(), keys.NewKey{Name: name, Scopes: []string{"reports:read"}}))
}

func (h *house) lookup(t testing.TB, secret apikey.Secret) (apikey.Record, bool) {
	t.Helper()
	a, err := h.source.Lookup(t.Context(), secret.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	return a.Record, a.Found
}

// verifyChain fails the test unless the whole audit chain holds.
func verifyChain(t testing.TB, db *postgres.DB) journal.Report {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	head := must[journal.Head](t)(db.Head(ctx))
	report := must[journal.Report](t)(journal.NewChain(chainKey).Verify(ctx, db.AuditRows(ctx), head))
	if report.Broken != 0 {
		t.Fatalf("the audit chain breaks at %d: %s", report.Broken, report.Why)
	}
	return report
}
