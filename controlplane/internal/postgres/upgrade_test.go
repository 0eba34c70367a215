package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/migrations"
)

// A migration that goes on while a replica of the version before works makes
// neither give up: somebody who has read keys and now writes one is not in its
// way, nor it in theirs. Forward and back, with what is there.
func TestAnUpgradeAmongWriters(t *testing.T) {
	t.Parallel()
	dsn, ctx := pgtest.Empty(t), t.Context()
	config := must[*pgx.ConnConfig](t)(pgx.ParseConfig(dsn))
	db := stdlib.OpenDB(*config)
	defer db.Close()
	provider := must[*goose.Provider](t)(goose.NewProvider(goose.DialectPostgres, db, migrations.FS))
	must[[]*goose.MigrationResult](t)(provider.UpTo(ctx, 12))
	writer, watcher := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn)), must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() {
		_ = writer.Close(context.WithoutCancel(ctx))
		_ = watcher.Close(context.WithoutCancel(ctx))
	}()
	_, err := writer.Exec(ctx, `
		INSERT INTO peppers (id, proof) VALUES ('old', '');
		INSERT INTO keys (id, digest, pepper_id, kind, environment, owner_id, name, start, last4, scopes, tags, metadata,
			allow_cidrs, deny_cidrs, allow_methods, allow_paths, created_at, updated_at, version, status)
		SELECT gen_random_uuid(), sha256(n::text::bytea), 'old', 'api', 'live', users.id, 'old ' || n, 'lk_live_', 'abcd', '{}', '{}', '{}',
			'{}', '{}', '{}', '{}', now(), now(), 1, 'active'
		FROM users, generate_series(1, 100) AS n`)
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		name string
		step func(context.Context) error
	}{
		{"forward", func(ctx context.Context) error { _, err := provider.Up(ctx); return err }},
		{"back", func(ctx context.Context) error { _, err := provider.DownTo(ctx, 12); return err }},
		{"forward again", func(ctx context.Context) error { _, err := provider.Up(ctx); return err }},
	} {
		tx := must[pgx.Tx](t)(writer.Begin(ctx))
		count := 0
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM keys").Scan(&count); err != nil || count != 100 {
			t.Fatal(count, err)
		}
		done := make(chan error, 1)
		go func() { done <- way.step(context.WithoutCancel(ctx)) }()
		for waits, end := false, time.Now().Add(20*time.Second); !waits; {
			err := watcher.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'keys'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted)").Scan(&waits)
			if err != nil || time.Now().After(end) {
				t.Fatalf("%s: it never came to drop an index: %v", way.name, err)
			}
		}
		if _, err := tx.Exec(ctx, "UPDATE keys SET name = name || '.'"); err != nil {
			t.Errorf("%s: who writes: %v", way.name, err)
		}
		if err := tx.Commit(ctx); err != nil {
			t.Errorf("%s: who writes: %v", way.name, err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", way.name, err)
		}
	}
}
