package seed

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// writer writes a population within one transaction.
type writer struct {
	Options
	spread
	tx     pgx.Tx
	result Result
}

func (w *writer) write(ctx context.Context) error {
	var seeded bool
	err := w.tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM plans WHERE slug = $1)", tiers[0].slug).Scan(&seeded)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if seeded {
		return fault.New(fault.Conflict, "this database was seeded before").WithFix("take another database, or another LATCHKEY_DATA_DIR")
	}
	for _, step := range []func(context.Context) error{w.foundations, w.users, w.subscriptions, w.keys, w.journal} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
	}
	return nil
}

// foundations are the plans, and the prefix that doors are to know.
func (w *writer) foundations(ctx context.Context) error {
	for i, t := range tiers {
		w.plans[i] = id.New[id.PlanKind]()
		_, err := w.tx.Exec(ctx, `INSERT INTO plans (id, slug, name, scopes, created_at, updated_at, version) VALUES ($1, $2, $3, $4, $5, $5, 1)`,
			w.plans[i].UUID(), t.slug, t.name, t.bound, w.now)
		if err != nil {
			return err
		}
	}
	_, err := w.tx.Exec(ctx, `INSERT INTO key_prefixes (prefix) VALUES ($1) ON CONFLICT DO NOTHING`, Prefix)
	return err
}

// table is rows to be copied.
type table struct {
	name    string
	columns []string
	n       int // numbers to ask for
	// row returns the row of a number; nil where the number has none.
	row func(n int) []any
}

// batch is how many numbers are copied between two words on the progress.
const batch = 50_000

func (w *writer) copy(ctx context.Context, t table) (copied int, err error) {
	for from := 0; from < t.n; from += batch {
		next, to := from, min(from+batch, t.n)
		n, err := w.tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
			for ; next < to; next++ {
				if row := t.row(next); row != nil {
					next++
					return row, nil
				}
			}
			return nil, nil
		}))
		if err != nil {
			return copied, fmt.Errorf("%s: %w", t.name, err)
		}
		copied += int(n)
		w.progress(t.name, to, t.n)
	}
	return copied, nil
}

func (w *writer) users(ctx context.Context) (err error) {
	w.result.Users, err = w.copy(ctx, table{"users", userColumns, w.Users, w.userRow})
	return err
}

func (w *writer) subscriptions(ctx context.Context) (err error) {
	w.result.Subscriptions, err = w.copy(ctx, table{"subscriptions", subscriptionColumns, w.Users, func(n int) []any {
		if w.user(n).status == "" {
			return nil
		}
		return w.subscriptionRow(n)
	}})
	return err
}

func (w *writer) keys(ctx context.Context) error {
	return w.bare(ctx, "keys", func() (err error) {
		w.result.Keys, err = w.copy(ctx, table{"keys", keyColumns, w.Keys, func(n int) []any { return w.keyRow(n, w.Digester) }})
		return err
	})
}

// journal tells the whole of it in one audit row. There is nothing for caches to
// forget: nothing of this was there before. The head is locked last of all, as
// in every change.
func (w *writer) journal(ctx context.Context) error {
	var head journal.Head
	if err := w.tx.QueryRow(ctx, "SELECT number, mac FROM journal_head FOR UPDATE").Scan(&head.Number, &head.MAC); err != nil {
		return err
	}
	sealed, head, err := w.Chain.Seal(head, []journal.Entry{{
		Caller: w.Caller, At: w.now, Action: "dev.seed", Target: journal.Target{Kind: "database"}, After: w.result,
	}})
	if err != nil {
		return err
	}
	s := sealed[0]
	_, err = w.tx.Exec(ctx, `
		INSERT INTO audit_events (number, id, at, actor_kind, actor_id, action, target_kind, target_id, entry, mac)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		s.Number, s.ID.UUID(), s.Entry.At, string(s.Entry.Caller.Actor.Kind), s.Entry.Caller.Actor.ID, s.Entry.Action,
		s.Entry.Target.Kind, s.Entry.Target.ID, s.Text, s.MAC)
	if err != nil {
		return err
	}
	_, err = w.tx.Exec(ctx, "UPDATE journal_head SET number = $1, mac = $2", head.Number, head.MAC)
	return err
}
