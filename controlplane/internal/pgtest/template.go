package pgtest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // goose wants database/sql
	"github.com/pressly/goose/v3"
)

// templateLock is the advisory lock under which a template is made.
const templateLock = 0x6c6b_7465_6d70 // "lktemp"

// templates are those that this process knows to be there, by server and name.
var templates sync.Map

// templateFor returns the name of a database with the schema, made where the
// server has none.
func templateFor(admin string, migrations fs.FS) (string, error) {
	name, err := templateName(migrations)
	if err != nil {
		return "", err
	}
	made, _ := templates.LoadOrStore(admin+" "+name, sync.OnceValue(func() error {
		return ensureTemplate(admin, name, migrations)
	}))
	return name, made.(func() error)()
}

// templateName changes with every byte of the migrations.
func templateName(migrations fs.FS) (string, error) {
	digest := sha256.New()
	err := fs.WalkDir(migrations, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations, path)
		fmt.Fprintf(digest, "%s %d\n%s", path, len(text), text)
		return err
	})
	return fmt.Sprintf("latchkey_template_%x", digest.Sum(nil)[:8]), err
}

// ensureTemplate makes the template unless the server has it. The packages'
// test processes meet at an advisory lock, which a killed one lets go. A
// database counts as a template only once it is marked as one, at the very end.
func ensureTemplate(admin, name string, migrations fs.FS) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return err
	}
	var complete bool
	err = conn.QueryRow(ctx, "SELECT datistemplate FROM pg_database WHERE datname = $1", name).Scan(&complete)
	switch {
	case err == nil && complete:
		return nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)", "CREATE DATABASE " + name} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := migrate(ctx, withDatabase(admin, name), migrations); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+name+" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")
	return err
}

// migrate applies all migrations. It does not go through the product's adapter,
// whose own tests use this package.
func migrate(ctx context.Context, dsn string, migrations fs.FS) (err error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}
