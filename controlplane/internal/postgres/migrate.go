package postgres

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/migrations"
)

// Schema says where a database stands among the migrations.
type Schema struct {
	Current, Target int64
}

// Migrate brings the schema of a database up to this build's. Any number of
// processes may do so at once: a session lock lets one work and the others wait.
// It refuses a schema that is newer than this build.
func Migrate(ctx context.Context, dsn string) (Schema, error) {
	return withProvider(ctx, dsn, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// SchemaOf tells where a database stands, and refuses one that is newer.
func SchemaOf(ctx context.Context, dsn string) (Schema, error) {
	return withProvider(ctx, dsn, nil)
}

func withProvider(ctx context.Context, dsn string, work func(*goose.Provider) error) (s Schema, err error) {
	db, err := migrationDB(dsn)
	if err != nil {
		return s, err
	}
	defer func() { _ = db.Close() }()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return s, fmt.Errorf("migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return s, fmt.Errorf("migrations: %w", err)
	}
	if s.Current, s.Target, err = provider.GetVersions(ctx); err != nil {
		return s, translate(err)
	}
	if s.Current > s.Target {
		return s, fault.New(fault.Conflict, "the database has schema %d, which is newer than the %d of this build", s.Current, s.Target).
			WithFix("run the build that migrated it, or a newer one")
	}
	if work == nil || s.Current == s.Target {
		return s, nil
	}
	if err := work(provider); err != nil {
		return s, translate(err)
	}
	s.Current, _, err = provider.GetVersions(ctx)
	return s, translate(err)
}

// migrationDB is a connection without a statement limit: a migration may take
// its time.
func migrationDB(dsn string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, badDSN()
	}
	config.ConnectTimeout = connectTimeout
	return stdlib.OpenDB(*config), nil
}
