package cli

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/config"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/pgserver"
)

// database is the configured database as it is: not migrated, nothing opened.
type database struct {
	dsn     string
	private *pgserver.Server // nil with DATABASE_URL
}

// openDatabase joins or starts a private PostgreSQL where no DATABASE_URL is
// given. The caller closes it.
func openDatabase(ctx context.Context, c *config.Config, notice func(string)) (*database, error) {
	if !c.DatabaseURL.Empty() {
		return &database{dsn: c.DatabaseURL.Reveal()}, nil
	}
	server, err := pgserver.Open(ctx, pgserver.Config{DataDir: c.DataDir, Log: notice})
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "the private PostgreSQL does not start").WithFix("set DATABASE_URL to a PostgreSQL of yours")
	}
	return &database{dsn: server.DSN(), private: server}, nil
}

// Close leaves a database of others alone.
func (d *database) Close(ctx context.Context) error {
	if d.private == nil {
		return nil
	}
	return d.private.Close(ctx)
}
