// Package postgres is the adapter to PostgreSQL: a store per domain, the two
// logs of the journal, and the look-ups of the validator.
//
//	domains ──Store interfaces──► bun on pgx (simple protocol)   one file a resource
//	records ──Rows──────────────► pgx pool, prepared statements  the hot look-up
//	journal ──Log───────────────► a connection of its own        LISTEN and catch-up
//
// Invariants: every change that matters is written together with its journal
// entry, whose head row is the last thing locked; every statement has a time
// limit; only translate.go reads SQLSTATE. Everything is safe for concurrent use.
package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

const (
	connectTimeout   = 3 * time.Second
	statementTimeout = 10 * time.Second
	lockTimeout      = 5 * time.Second
	idleInTx         = 15 * time.Second
)

// DB is the connection pool with the stores over it.
type DB struct {
	pool  *pgxpool.Pool
	bun   *bun.DB
	chain *journal.Chain
	dsn   *pgx.ConnConfig
	told  func(context.Context, []journal.Change)
	said  func(string)
}

// Options say how a DB is opened.
type Options struct {
	DSN   string
	Chain *journal.Chain // seals audit rows
	// MaxConns bounds the pool; 0 is pgxpool's default, at least 4.
	MaxConns int32
	// Committed is told of the changes that this process committed, before the
	// store's method returns; it may be nil. Others hear of them by NOTIFY, and
	// this process once more.
	Committed func(context.Context, []journal.Change)
	// Said is told what replicas Say; it may be nil.
	Said func(string)
}

// Open makes the pool. It does not wait for the server: the first use does.
func Open(ctx context.Context, o Options) (*DB, error) {
	config, err := pgxpool.ParseConfig(o.DSN)
	if err != nil {
		return nil, badDSN()
	}
	boundWaits(config.ConnConfig)
	// bun writes its arguments into the text, so a prepared statement would
	// never be used twice; hot look-ups ask for prepared ones themselves.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	if o.MaxConns > 0 {
		config.MaxConns = o.MaxConns
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, translate(err)
	}
	if o.Committed == nil {
		o.Committed = func(context.Context, []journal.Change) {}
	}
	if o.Said == nil {
		o.Said = func(string) {}
	}
	return &DB{
		pool: pool, chain: o.Chain, dsn: config.ConnConfig.Copy(), told: o.Committed, said: o.Said,
		bun: bun.NewDB(stdlib.OpenDBFromPool(pool), pgdialect.New()),
	}, nil
}

// boundWaits bounds every wait on the server.
func boundWaits(c *pgx.ConnConfig) {
	if c.ConnectTimeout == 0 || c.ConnectTimeout > connectTimeout {
		c.ConnectTimeout = connectTimeout
	}
	for name, d := range map[string]time.Duration{
		"statement_timeout":                   statementTimeout,
		"lock_timeout":                        lockTimeout,
		"idle_in_transaction_session_timeout": idleInTx,
	} {
		if _, given := c.RuntimeParams[name]; !given {
			c.RuntimeParams[name] = fmt.Sprint(d.Milliseconds())
		}
	}
	if c.RuntimeParams["random_page_cost"] == "" {
		// The server's default is that of a spinning disk: it would rather walk
		// through half a table than fetch some hundred rows by an index.
		c.RuntimeParams["random_page_cost"] = "1.1"
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "latchkey"
	}
}

// Close ends every connection; it waits for those in use.
func (db *DB) Close() {
	_ = db.bun.Close()
	db.pool.Close()
}

// Ping reports whether the server answers.
func (db *DB) Ping(ctx context.Context) error { return translate(db.pool.Ping(ctx)) }

// Stat tells how busy the pool is, for metrics.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }

// deadlocks is how often a change is tried that the server gives up for another.
const deadlocks = 3

// change runs write in a transaction and appends the entries that it returns as
// the last thing before the commit. Where there is no entry nothing is written.
// A bulk change and a change of plan lock the same keys each in its own order:
// of two that wait for each other the server ends one, and write runs anew.
func (db *DB) change(ctx context.Context, write func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error)) error {
	changes, err := db.tryChange(ctx, write)
	for n := 1; n < deadlocks && deadlocked(err); n++ {
		changes, err = db.tryChange(ctx, write)
	}
	if err == nil && len(changes) > 0 {
		db.told(ctx, changes)
	}
	return translate(err)
}

func (db *DB) tryChange(ctx context.Context, write func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error)) (changes []journal.Change, err error) {
	err = db.bun.RunInTx(ctx, &sql.TxOptions{}, func(ctx context.Context, tx bun.Tx) error {
		entries, err := write(ctx, tx)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return errNothing
		}
		changes, err = db.appendEntries(ctx, tx, entries)
		return err
	})
	return changes, err
}

// insert writes one row with its entry.
func (db *DB) insert(ctx context.Context, row any, e journal.Entry) error {
	return db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return []journal.Entry{e}, err
	})
}
