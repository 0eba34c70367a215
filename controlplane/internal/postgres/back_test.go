package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/migrations"
)

// Every migration goes forward, back and forward again.
func TestMigrationsGoBack(t *testing.T) {
	t.Parallel()
	config := must[*pgx.ConnConfig](t)(pgx.ParseConfig(pgtest.Empty(t)))
	db := stdlib.OpenDB(*config)
	defer db.Close()
	provider := must[*goose.Provider](t)(goose.NewProvider(goose.DialectPostgres, db, migrations.FS))
	must[[]*goose.MigrationResult](t)(provider.Up(t.Context()))
	must[[]*goose.MigrationResult](t)(provider.DownTo(t.Context(), 0))
	left := 0
	err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version'").Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d tables are left: %v", left, err)
	}
	must[[]*goose.MigrationResult](t)(provider.Up(t.Context()))
}
