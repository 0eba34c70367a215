// Package seed fills a development database with users, subscriptions and keys,
// spread as in an installation that is in use, through COPY.
//
//	Population (pure: what number n is) ──COPY──► users, subscriptions, keys
//	                                   one entry ► audit chain, last of all
//
// Invariants: it is one transaction, all or nothing, whose journal entry is the
// last thing in it; what number n is depends on n and the size alone, secrets
// included, so that a benchmark can present keys that it never saw issued. The
// secrets are therefore known to everybody: the command line, its only caller
// beside benchmarks, refuses production.
package seed

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// Options say what is seeded into which database.
type Options struct {
	DSN        string // of a database with this build's schema
	Population Population
	Digester   keys.Digester
	Chain      *journal.Chain
	Caller     access.Caller // for the journal
	Now        time.Time     // everything was made in the two years before
	// Progress hears how far a table is; it may be nil.
	Progress func(table string, done, of int)
}

// Result is what was written.
type Result struct {
	Users         int `json:"users"`
	Subscriptions int `json:"subscriptions"`
	Keys          int `json:"keys"`
}

// Run seeds a database, once: a second time is a Conflict. Whoever uses the
// keys of the database meanwhile waits for its end.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.Population.check(); err != nil {
		return Result{}, err
	}
	config, err := pgx.ParseConfig(o.DSN)
	if err != nil { // not wrapped: it may repeat a password
		return Result{}, fault.New(fault.Invalid, "DATABASE_URL is not a PostgreSQL address")
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return Result{}, fault.Wrap(err, fault.Unavailable, "the database does not answer")
	}
	// The connection's own end needs no patience: its transaction is over.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("seed: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing after a commit
	w := &writer{Options: o, tx: tx, spread: spread{Population: o.Population, now: o.Now.UTC().Truncate(time.Millisecond)}}
	if err := w.write(ctx); err != nil {
		return Result{}, err
	}
	if err := tx.Commit(ctx); err != nil {
		return Result{}, fmt.Errorf("seed: commit: %w", err)
	}
	// Without statistics the first look-ups would scan the tables.
	if _, err := conn.Exec(ctx, "ANALYZE users, subscriptions, keys"); err != nil {
		return Result{}, fmt.Errorf("seed: analyze: %w", err)
	}
	return w.result, nil
}
