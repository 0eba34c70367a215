package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
)

func audit(h *house) *journal.Audit {
	return journal.NewAudit(journal.AuditConfig{
		Store: h.db.Audit(), Chain: journal.NewChain(chainKey), Checkpoints: journal.NewCheckpoints([32]byte{9}), Now: time.Now,
	})
}

// Every filter finds what it says and nothing else, alone and with others.
func TestEventsByFilter(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	a, ctx := audit(h), t.Context()
	by := root()
	by.RequestID, by.Address = "REQUEST1", "203.0.113.9"
	first := must[keys.Issued](t)(h.keys.Issue(ctx, by, keys.NewKey{Name: "first"}))
	other := access.Caller{Actor: access.Actor{Kind: access.ActorKey, ID: "key_x", Name: "ops"}, Scopes: []access.Scope{access.All}}
	second := must[keys.Issued](t)(h.keys.Issue(ctx, other, keys.NewKey{Name: "second"}))
	must[keys.Key](t)(h.keys.Update(ctx, other, first.Key.ID, keys.Patch{Name: field.To("renamed")}))
	must[keys.Key](t)(h.keys.Revoke(ctx, root(), second.Key.ID, keys.Superseded))
	all := must[[]journal.Event](t)(a.Events(ctx, root(), journal.Query{Limit: 10}))
	at := all[1].At // of the third

	for name, test := range map[string]struct {
		query journal.Query
		want  []int64
	}{
		"none":           {journal.Query{}, []int64{4, 3, 2, 1}},
		"a limit":        {journal.Query{Limit: 2}, []int64{4, 3}},
		"behind":         {journal.Query{After: all[1].Position()}, []int64{2, 1}},
		"actor's kind":   {journal.Query{ActorKind: "cli"}, []int64{4, 1}},
		"actor":          {journal.Query{ActorID: "key_x"}, []int64{3, 2}},
		"action":         {journal.Query{Action: "key.issue"}, []int64{2, 1}},
		"area":           {journal.Query{Action: "key.*"}, []int64{4, 3, 2, 1}},
		"another area":   {journal.Query{Action: "keys.*"}, nil},
		"target":         {journal.Query{TargetID: first.Key.ID.String()}, []int64{3, 1}},
		"target's kind":  {journal.Query{TargetKind: "key"}, []int64{4, 3, 2, 1}},
		"request":        {journal.Query{RequestID: "REQUEST1"}, []int64{1}},
		"since":          {journal.Query{Since: at.Truncate(time.Microsecond)}, []int64{4, 3}},
		"until":          {journal.Query{Until: at.Truncate(time.Microsecond)}, []int64{2, 1}},
		"several":        {journal.Query{ActorID: "key_x", Action: "key.*", TargetID: first.Key.ID.String(), Since: all[3].At.Add(-time.Hour)}, []int64{3}},
		"SQL in a value": {journal.Query{ActorID: "' OR true --", TargetID: "$1"}, nil},
	} {
		if test.query.Limit == 0 {
			test.query.Limit = 10
		}
		got := must[[]journal.Event](t)(a.Events(ctx, root(), test.query))
		var numbers []int64
		for _, e := range got {
			numbers = append(numbers, e.Number)
		}
		if diff := cmp.Diff(test.want, numbers); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if e := all[3]; e.RequestID != "REQUEST1" || e.Address != "203.0.113.9" || e.Actor.Name != "tester" || e.Before != nil || !strings.Contains(string(e.After), `"name":"first"`) {
		t.Errorf("the first event: %+v", e)
	}
	if e := all[1]; string(e.Before) != `{"name":"first"}` || string(e.After) != `{"name":"renamed"}` {
		t.Errorf("the change: %s %s", e.Before, e.After)
	}
	if _, err := a.Events(ctx, access.Caller{Scopes: access.Admin.Scopes()[:3]}, journal.Query{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("without audit:read: %v", err)
	}
}

// Whatever the filter, a page of 50 out of 100,000 events touches at most twenty
// times as many rows, and an export gives each of them once.
func TestEventsTouchFewRows(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h := furnish(t, dsn)
	conn := must[*pgx.Conn](t)(pgx.Connect(t.Context(), dsn))
	defer func() { _ = conn.Close(context.Background()) }()
	manyEvents(t, conn, 100_000)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const page = 50
	for name, q := range map[string]journal.Query{
		"none":                {},
		"a common actor kind": {ActorKind: "key"},
		"a rare actor kind":   {ActorKind: "setup"},
		"an actor":            {ActorID: "key_7"},
		"no such actor":       {ActorID: "key_none"},
		"a common action":     {Action: "key.issue"},
		"a rare action":       {Action: "plan.update"},
		"a common area":       {Action: "key.*"},
		"a rare area":         {Action: "plan.*"},
		"a target kind":       {TargetKind: "key"},
		"a rare target kind":  {TargetKind: "plan"},
		"a target":            {TargetID: "key_50000"},
		"a request":           {RequestID: "R50000"},
		"since":               {Since: begin.Add(99_000 * time.Second)},
		"until":               {Until: begin.Add(500 * time.Second)},
		"a range":             {Since: begin.Add(40_000 * time.Second), Until: begin.Add(60_000 * time.Second)},
		"deep in":             {After: journal.Position{Micro: begin.Add(1000 * time.Second).UnixMicro(), Number: 1000}},
		"an actor in a range": {ActorID: "key_7", Since: begin.Add(40_000 * time.Second), Until: begin.Add(60_000 * time.Second)},
	} {
		q.Limit = page
		statement, args := postgres.EventsSQL(q)
		var text []byte
		err := conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+statement, append([]any{pgx.QueryExecModeExec}, args...)...).Scan(&text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		touchesFew(t, name, text)
	}
	seen, last := 0, int64(100_001)
	events, err := audit(h).Export(t.Context(), root(), journal.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range events {
		if err != nil || e.Number != last-1 {
			t.Fatalf("%d after %d: %v", e.Number, last, err)
		}
		seen, last = seen+1, e.Number
	}
	if seen != 100_000 {
		t.Errorf("%d events were exported", seen)
	}
}

// manyEvents fills the log with rows that no chain links, a second apart.
func manyEvents(t *testing.T, conn *pgx.Conn, n int) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `
		INSERT INTO audit_events (number, id, at, actor_kind, actor_id, action, target_kind, target_id, request_id, entry, mac)
		SELECT n, gen_random_uuid(), at, kind, 'key_' || n % 1000, action, split_part(action, '.', 1), 'key_' || n, 'R' || n,
		       json_build_object('number', n, 'at', at, 'action', action)::text, ''
		FROM generate_series(1, $1::int) AS n,
		     LATERAL (SELECT timestamptz '2026-01-01 00:00:00Z' + n * interval '1 second' AS at,
		                     CASE WHEN n = 5 THEN 'setup' WHEN n % 100 = 0 THEN 'user' ELSE 'key' END AS kind,
		                     CASE WHEN n % 20000 = 0 THEN 'plan.update' WHEN n % 3 = 0 THEN 'key.revoke' ELSE 'key.issue' END AS action) AS made`, n)
	if err == nil {
		_, err = conn.Exec(t.Context(), "ANALYZE audit_events")
	}
	if err != nil {
		t.Fatal(fmt.Errorf("fill the log: %w", err))
	}
}
