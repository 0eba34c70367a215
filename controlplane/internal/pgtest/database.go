package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/migrations"
)

// patience bounds each step on the server, many tests at a time on a slow disk.
const patience = time.Minute

// DSN makes a database with the product's schema for this test and returns its
// connection string. The database is dropped when the test ends, connections
// that are still open included.
func DSN(t testing.TB) string {
	t.Helper()
	admin := server(t)
	template, err := templateFor(admin, migrations.FS)
	if err != nil {
		t.Fatalf("make the template database: %v", err)
	}
	return lend(t, admin, template)
}

// Empty makes a database without any schema, for tests of the migrations.
func Empty(t testing.TB) string {
	t.Helper()
	return lend(t, server(t), "template1")
}

// In makes a database without any schema that has a locale of its own, as CREATE
// DATABASE is told of it.
func In(t testing.TB, locale string) string {
	t.Helper()
	return lend(t, server(t), "template0 ENCODING 'UTF8' "+locale)
}

// lend clones a database for the test and drops it afterwards.
func lend(t testing.TB, admin, template string) string {
	t.Helper()
	name, err := clone(admin, template)
	if err != nil {
		t.Fatalf("make a database for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(admin, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return withDatabase(admin, name)
}

// clone makes a database with a new name on the server that admin connects to.
func clone(admin, template string) (name string, err error) {
	name = "latchkey_test_" + strings.ToLower(rand.Text())
	return name, execute(admin, "CREATE DATABASE "+name+" TEMPLATE "+template)
}

// execute runs one statement on a connection of its own. There is no pool: its
// goroutines would show up in every test that looks for leaked ones.
func execute(dsn, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	if err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// withDatabase is the connection string of another database on the same server.
// Both forms are taken: URL, and keywords with values.
func withDatabase(dsn, name string) string {
	if at, err := url.Parse(dsn); err == nil && at.Scheme != "" {
		at.Path = "/" + name
		return at.String()
	}
	return dsn + " dbname=" + name
}
