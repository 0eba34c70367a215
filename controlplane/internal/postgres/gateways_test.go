package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/wire"
)

// roll is the domain of gateways over one database, whose clock a test moves by
// moving what it noted.
type roll struct {
	*gateways.Service
	house *house
	conn  *pgx.Conn
	head  journal.Head
}

func openRoll(t *testing.T) *roll {
	t.Helper()
	dsn := pgtest.DSN(t)
	h := furnish(t, dsn)
	conn := must[*pgx.Conn](t)(pgx.Connect(t.Context(), dsn))
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &roll{
		Service: gateways.New(h.db.Gateways(), time.Now), house: h, conn: conn,
		head: must[journal.Head](t)(h.db.Head(t.Context())),
	}
}

func (r *roll) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := r.conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (r *roll) seen(t *testing.T, name string, budget time.Duration, applied int64) gateways.Gateway {
	t.Helper()
	g := must[gateways.Gateway](t)(gateways.Parse(
		wire.Gateway{Instance: uuid.NewString(), Name: name, Version: "1", BudgetMS: budget.Milliseconds()},
		wire.Position{After: applied, Epoch: r.head.Epoch}, "192.0.2.1"))
	if err := r.Seen(t.Context(), access.System(), g); err != nil {
		t.Fatal(err)
	}
	return g
}

func (r *roll) names(t *testing.T) (names []string) {
	t.Helper()
	for _, g := range must[[]gateways.Gateway](t)(r.List(t.Context(), access.System())) {
		names = append(names, g.Name)
	}
	return names
}

// A gateway that is silent can be given up, which is audited, and nobody waits
// for it any more; one that is heard cannot.
func TestAGatewayIsGivenUp(t *testing.T) {
	t.Parallel()
	r := openRoll(t)
	ctx := t.Context()
	heard, silent := r.seen(t, "heard", time.Hour, 0), r.seen(t, "silent", time.Hour, 0)
	r.exec(t, "UPDATE gateways SET last_seen_at = last_seen_at - interval '1 minute' WHERE name = 'silent'")
	if g := must[gateways.Gateway](t)(r.ByID(ctx, access.System(), silent.ID())); g.Instance != silent.Instance || g.Name != "silent" {
		t.Errorf("%+v", g)
	}
	if err := r.Remove(ctx, access.System(), heard.ID()); !fault.Is(err, fault.Conflict) {
		t.Errorf("one that is heard: %v", err)
	}
	before := must[journal.Head](t)(r.house.db.Head(ctx)).Number
	if err := r.Remove(ctx, access.System(), silent.ID()); err != nil {
		t.Error(err)
	}
	if after := must[journal.Head](t)(r.house.db.Head(ctx)).Number; after != before+1 {
		t.Errorf("%d audit events", after-before)
	}
	if err := r.Remove(ctx, access.System(), silent.ID()); !fault.Is(err, fault.NotFound) {
		t.Errorf("once more: %v", err)
	}
	if diff := cmp.Diff([]string{"heard"}, r.names(t)); diff != "" {
		t.Error(diff)
	}
	if receipt := must[gateways.Receipt](t)(r.Confirm(ctx, "key_none", 0)); receipt.Connected != 1 {
		t.Errorf("a receipt counts %d", receipt.Connected)
	}
	verifyChain(t, r.house.db)
}

func TestAGatewayIsKnownUntilItRefusesByItself(t *testing.T) {
	t.Parallel()
	r := openRoll(t)
	r.seen(t, "c", time.Hour, 0)
	r.seen(t, "a", 0, 0)
	b := r.seen(t, "b", time.Minute, 7)
	all := must[[]gateways.Gateway](t)(r.List(t.Context(), access.System()))
	if len(all) != 3 || all[1].Instance != b.Instance || all[1].Applied != 7 || all[1].Address != "192.0.2.1" || all[1].Budget != time.Minute {
		t.Fatalf("%+v", all)
	}
	for _, step := range []struct {
		later string
		left  []string
	}{
		{"8 seconds", []string{"a", "b", "c"}}, // three of silence, five of contact, one for a crash
		{"2 seconds", []string{"b", "c"}},
		{"55 seconds", []string{"b", "c"}},
		{"2 seconds", []string{"c"}},
		{"1 hour", nil},
	} {
		r.exec(t, "UPDATE gateways SET last_seen_at = last_seen_at - $1::interval", step.later)
		if diff := cmp.Diff(step.left, r.names(t)); diff != "" {
			t.Errorf("%s later: %s", step.later, diff)
		}
		if err := r.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		var kept int
		if err := r.conn.QueryRow(t.Context(), "SELECT count(*) FROM gateways").Scan(&kept); err != nil || kept != len(step.left) {
			t.Errorf("%s later %d rows are kept: %v", step.later, kept, err)
		}
	}
}

func TestAReceiptBelievesOnlyTheSameHistory(t *testing.T) {
	t.Parallel()
	r := openRoll(t)
	k := r.house.issue(t, "ci")
	must[keys.Key](t)(r.house.keys.Disable(t.Context(), root(), k.Key.ID))
	r.house.issue(t, "another entry, after the change")
	const change = 2 // the issue of ci is the first entry
	r.seen(t, "ahead", time.Minute, change+5)
	r.seen(t, "there", time.Minute, change)
	r.seen(t, "behind", time.Minute, change-1)
	confirm := func() gateways.Receipt {
		return must[gateways.Receipt](t)(r.Confirm(t.Context(), k.Key.ID.String(), 0))
	}
	got := confirm()
	if got.Change != change || got.Connected != 3 || got.Confirmed != 2 || len(got.Pending) != 1 || got.Pending[0].Name != "behind" {
		t.Errorf("%+v", got)
	}
	r.exec(t, "UPDATE journal_head SET epoch = gen_random_uuid()")
	if got = confirm(); got.Connected != 3 || got.Confirmed != 0 {
		t.Errorf("numbers of another history count: %+v", got)
	}
}

func TestTheChangeLogKeepsADayAndTheLargestBudget(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		budget time.Duration
		kept   int // of five changes, written 0, 12, 24, 36 and 48 hours and a minute ago
	}{
		"a day":           {time.Minute, 2},
		"the budget":      {40 * time.Hour, 4},
		"two days":        {48 * time.Hour, 4},
		"a longer budget": {49 * time.Hour, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openRoll(t)
			k := r.house.issue(t, "ci")
			for range 2 {
				must[keys.Key](t)(r.house.keys.Disable(t.Context(), root(), k.Key.ID))
				must[keys.Key](t)(r.house.keys.Enable(t.Context(), root(), k.Key.ID))
			}
			must[keys.Key](t)(r.house.keys.Disable(t.Context(), root(), k.Key.ID)) // the changes 2 to 6
			r.exec(t, "UPDATE changes SET at = now() - interval '12 hours' * (6 - number) - interval '1 minute'")
			r.seen(t, "g", test.budget, 0)
			if err := r.Tidy(t.Context()); err != nil {
				t.Fatal(err)
			}
			page := must[journal.Page](t)(r.house.db.ChangesAfter(t.Context(), 0))
			low := int64(6 - test.kept)
			if test.kept == 5 {
				low = 0 // nothing was dropped
			}
			if len(page.Changes) != test.kept || page.Low != low || page.Head.Number != 6 {
				t.Errorf("%d changes after %d are kept, want %d after %d", len(page.Changes), page.Low, test.kept, low)
			}
		})
	}
}

func TestWhoMayDoWhatWithGateways(t *testing.T) {
	t.Parallel()
	r := openRoll(t)
	with := func(s access.Scope) access.Caller { return access.Caller{Scopes: []access.Scope{s}} }
	g := gateways.Gateway{Instance: uuid.New(), Name: "g"}
	for name, act := range map[string]func(access.Caller) error{
		"seen":  func(c access.Caller) error { return r.Seen(t.Context(), c, g) },
		"leave": func(c access.Caller) error { return r.Leave(t.Context(), c, g.Instance) },
	} {
		if err := act(with(access.GatewaysRead)); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s without edge:connect: %v", name, err)
		}
		if err := act(with(access.EdgeConnect)); err != nil {
			t.Errorf("%s with edge:connect: %v", name, err)
		}
	}
	if _, err := r.List(t.Context(), with(access.EdgeConnect)); !fault.Is(err, fault.Forbidden) {
		t.Errorf("list without gateways:read: %v", err)
	}
}
