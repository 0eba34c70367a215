package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/bootstrap"
	"github.com/latchkey/latchkey/controlplane/internal/config"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/limits"
	"github.com/latchkey/latchkey/controlplane/internal/pgserver"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
	"github.com/latchkey/latchkey/controlplane/internal/records"
	"github.com/latchkey/latchkey/controlplane/internal/settings"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

const (
	// startPatience is how long a start waits for a database that does not
	// answer yet, as when both were started together.
	startPatience = 60 * time.Second
	closePatience = 25 * time.Second
)

// Options are what a Core or an App is made of.
type Options struct {
	Config  config.Config
	Version string
	Log     *slog.Logger
	Now     func() time.Time
	// Notice is told what an operator should know while things start, a line each.
	Notice func(string)
	// Own asks for a private PostgreSQL of one's own: another process that runs
	// one on the data directory is waited for, and is a fault if it stays.
	Own bool
}

// Core is the domains over one database, for every command.
type Core struct {
	Config  config.Config
	DSN     string
	DB      *postgres.DB
	Chain   *journal.Chain
	Peppers *records.Peppers
	// Prefixes were issued when the Core was opened; serve keeps up with others.
	Prefixes apikey.Prefixes

	Settings      *settings.Service
	Keys          *keys.Service
	Users         *users.Service
	Limits        *limits.Service
	Plans         *plans.Service
	Subscriptions *subscriptions.Service
	Bootstrap     *bootstrap.Service
	Audit         *journal.Audit

	// serving hears of changes that this process makes, and of what replicas
	// say, once serve has set it; commands have none.
	serving atomic.Pointer[hearing]
	// private is the PostgreSQL of one's own, nil with DATABASE_URL.
	private *pgserver.Server
	closers []func(context.Context) error
}

// OpenCore opens the database, private or not, brings its schema up to this
// build's and makes the domains over it. The caller closes it.
func OpenCore(ctx context.Context, o Options) (_ *Core, err error) {
	c := &Core{Config: o.Config}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := c.Config.EnsureSecrets(); err != nil {
		return nil, err
	}
	if c.DSN, err = c.database(ctx, o); err != nil {
		return nil, err
	}
	if err := migrate(ctx, c.DSN, o.Notice); err != nil {
		return nil, err
	}
	c.Chain = NewChain(&c.Config)
	if c.DB, err = postgres.Open(ctx, postgres.Options{DSN: c.DSN, Chain: c.Chain, MaxConns: maxConns, Committed: c.tell, Said: c.hear}); err != nil {
		return nil, err
	}
	c.closing(func(context.Context) error { c.DB.Close(); return nil })
	return c, c.domains(ctx, o.Now)
}

// NewChain returns the seal of audit rows.
func NewChain(c *config.Config) *journal.Chain { return journal.NewChain(c.Key("audit chain")) }

// NewAudit returns the audit log over a database.
func NewAudit(c *config.Config, db *postgres.DB, now func() time.Time) *journal.Audit {
	return journal.NewAudit(journal.AuditConfig{
		Store: db.Audit(), Chain: NewChain(c), Checkpoints: journal.NewCheckpoints(c.Key("audit checkpoint")), Now: now,
	})
}

// hearing is how a replica hears of its own commits and of other replicas.
type hearing struct {
	feed  *feed
	peers *peers
}

// tell passes changes of one's own on at once: who was answered that a key is
// revoked must not be let in a moment later, here or at another replica.
func (c *Core) tell(ctx context.Context, changes []journal.Change) {
	for _, change := range changes {
		c.Settings.Apply(change)
	}
	h := c.serving.Load()
	if h == nil {
		return
	}
	last := int64(0)
	for _, change := range changes {
		h.feed.Apply(change)
		if change.Forget {
			last = max(last, change.Number)
		}
	}
	if last > 0 {
		h.peers.await(ctx, last)
	}
}

func (c *Core) hear(text string) {
	if h := c.serving.Load(); h != nil {
		h.peers.hear(text)
	}
}

// maxConns bounds the pool of one replica.
const maxConns = 24

func (c *Core) domains(ctx context.Context, now func() time.Time) (err error) {
	var list []records.Pepper
	for _, p := range c.Config.Peppers {
		list = append(list, records.Pepper{ID: p.ID, Secret: []byte(p.Secret.Reveal())})
	}
	if c.Peppers, err = records.OpenPeppers(ctx, list, c.DB.Peppers()); err != nil {
		return err
	}
	prefix := string(c.Config.KeyPrefix)
	if c.Prefixes, err = c.DB.UsePrefix(ctx, prefix); err != nil {
		return err
	}
	c.Settings = settings.New(c.DB.Settings(), now)
	c.Users = users.New(c.DB.Users(), now)
	c.Limits = limits.New(c.DB.Limits(), now)
	c.Plans = plans.New(c.DB.Plans(), c.DB.Limits(), now)
	c.Subscriptions = subscriptions.New(c.DB.Subscriptions(), c.DB.Plans(), now)
	c.Keys = keys.New(keys.Config{
		Store: c.DB.Keys(), Digest: c.Peppers, Prefix: prefix, Now: now, Policy: c.keyPolicy,
		Facts: keys.Facts{Owners: c.DB.Users(), Plans: c.DB.Plans(), Subscriptions: c.DB.Subscriptions()},
	})
	c.Audit = NewAudit(&c.Config, c.DB, now)
	c.Bootstrap = bootstrap.New(c.DB.Bootstrap(), prefix, c.Config.BootstrapOpen)
	return nil
}

// database returns where the database is: what DATABASE_URL names, or a private
// PostgreSQL in the data directory.
func (c *Core) database(ctx context.Context, o Options) (string, error) {
	if !c.Config.DatabaseURL.Empty() {
		return c.Config.DatabaseURL.Reveal(), nil
	}
	server, err := openPrivate(ctx, pgserver.Config{DataDir: c.Config.DataDir, Log: o.Notice}, o)
	if fault.Is(err, fault.Conflict) { // it would start, and says itself what to do
		return "", err
	}
	if err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "the private PostgreSQL does not start").
			WithFix("set DATABASE_URL to a PostgreSQL of yours, or see the reason above")
	}
	c.private = server
	c.closing(server.Close)
	return server.DSN(), nil
}

// openPrivate opens the private server. Where it is to be one's own, another
// process's is waited for, for a command ends soon; another serve does not.
func openPrivate(ctx context.Context, config pgserver.Config, o Options) (*pgserver.Server, error) {
	const patience = 10 * time.Second
	for end := o.Now().Add(patience); ; {
		server, err := pgserver.Open(ctx, config)
		if err != nil || !o.Own || !server.Joined() {
			return server, err
		}
		if err := server.Close(ctx); err != nil {
			return nil, err
		}
		if o.Now().After(end) {
			return nil, fault.New(fault.Conflict, "another latchkey runs on the data directory %s", config.DataDir).
				WithFix("stop it, or set LATCHKEY_DATA_DIR (and LATCHKEY_LISTEN, LATCHKEY_OPS_LISTEN) for a second one")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// migrate waits for a database that does not answer yet.
func migrate(ctx context.Context, dsn string, notice func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for said := false; ; said = true {
		_, err := postgres.Migrate(ctx, dsn)
		if err == nil || !fault.Is(err, fault.Unavailable) {
			return err
		}
		gone := fault.Wrap(err, fault.Unavailable, "waited %s for the database", startPatience).
			WithFix("start PostgreSQL, or correct DATABASE_URL: `latchkey doctor` tells at once what is wrong")
		if ctx.Err() != nil {
			return gone
		}
		if !said {
			notice(fmt.Sprintf("waiting for the database: %v", err))
		}
		select {
		case <-ctx.Done():
			return gone
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// closing notes what Close is to undo.
func (c *Core) closing(f func(context.Context) error) { c.closers = append(c.closers, f) }

// PrivateDir is where the database files of a private PostgreSQL are, "" with
// DATABASE_URL.
func (c *Core) PrivateDir() string {
	if c.private == nil {
		return ""
	}
	return c.private.Dir()
}

// Close gives everything back, last in first out. It does what it can within
// closePatience even where ctx has ended.
func (c *Core) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	var errs []error
	for i := len(c.closers) - 1; i >= 0; i-- {
		errs = append(errs, c.closers[i](ctx))
	}
	c.closers = nil
	return errors.Join(errs...)
}
