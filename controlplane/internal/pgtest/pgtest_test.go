package pgtest

import (
	"context"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { Run(m) }

// query returns the first column of the first row.
func query(t *testing.T, dsn, sql string) (answer string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func TestEachTestHasItsOwn(t *testing.T) {
	t.Parallel()
	var lent []string
	t.Run("inner", func(t *testing.T) {
		for range 2 {
			dsn := DSN(t)
			lent = append(lent, query(t, dsn, "SELECT current_database()"))
			// A connection that is left open does not keep the database.
			if _, err := pgx.Connect(t.Context(), dsn); err != nil {
				t.Fatal(err)
			}
		}
	})
	if lent[0] == lent[1] {
		t.Error("two tests, one database")
	}
	left := query(t, server(t), "SELECT count(*)::text FROM pg_database WHERE datname IN ('"+strings.Join(lent, "','")+"')")
	if left != "0" {
		t.Errorf("%s databases stayed", left)
	}
}

func TestTemplateIsMadeOnce(t *testing.T) {
	t.Parallel()
	migrations := fstest.MapFS{"001_first.sql": {Data: []byte(
		"-- +goose Up\nCREATE TABLE made AS SELECT clock_timestamp()::text AS at;\n-- +goose Down\nDROP TABLE made;\n")}}
	name, err := templateName(migrations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, sql := range []string{"ALTER DATABASE " + name + " IS_TEMPLATE false", "DROP DATABASE " + name + " WITH (FORCE)"} {
			if err := execute(server(t), sql); err != nil {
				t.Error(err)
			}
		}
	})
	// A template that a killed process left half made is made again.
	if err := execute(server(t), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	seen := make([]string, 4)
	for i := range seen {
		// Not through templateFor: each stands for a test process of its own.
		group.Go(func() {
			if err := ensureTemplate(server(t), name, migrations); err != nil {
				t.Error(err)
				return
			}
			seen[i] = query(t, lend(t, server(t), name), "SELECT at FROM made")
		})
	}
	group.Wait()
	for _, at := range seen {
		if at == "" || at != seen[0] {
			t.Errorf("made at %q", seen)
		}
	}
}

func TestTemplateNameFollowsTheMigrations(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, files := range []fs.FS{
		fstest.MapFS{"1.sql": {Data: []byte("a")}},
		fstest.MapFS{"1.sql": {Data: []byte("b")}},
		fstest.MapFS{"2.sql": {Data: []byte("a")}},
		fstest.MapFS{"1.sql": {Data: []byte("a")}, "2.sql": {}},
	} {
		name, err := templateName(files)
		if err != nil {
			t.Fatal(err)
		}
		names[name] = true
	}
	if len(names) != 4 {
		t.Errorf("%d names for 4 sets", len(names))
	}
}

func TestPrivateServerComesBack(t *testing.T) {
	t.Parallel()
	private := Private(t)
	dsn := private.DSN()
	for name, end := range map[string]func(){"kill": private.Kill, "stop": private.Stop} {
		if err := execute(dsn, "CREATE TABLE "+name+" AS SELECT 'kept'::text AS what"); err != nil {
			t.Fatal(err)
		}
		end()
		if err := execute(dsn, "SELECT 1"); err == nil {
			t.Errorf("%s: still answers", name)
		}
		private.Start()
		if got := query(t, dsn, "SELECT what FROM "+name); got != "kept" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestLocalLeavesNothing(t *testing.T) {
	t.Parallel()
	if _, err := FindLocal(); err != nil && os.Getenv("TEST_DATABASE_URL") != "" {
		t.Skip("needs PostgreSQL's programs on this machine")
	}
	local, err := StartLocal(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(local.DSN())
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, local.DSN(), "SELECT current_setting('fsync')"); got != "on" {
		t.Errorf("a durable server has fsync %s", got)
	}
	if err := local.Remove(); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(local.Dir() + "*")
	for _, path := range append(left, local.dir, at.Query().Get("host")) {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s stayed", path)
		}
	}
}

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://u:p@h:1/a?sslmode=disable": "postgres://u:p@h:1/other?sslmode=disable",
		"postgres://u@/a?host=%2Ftmp%2Fx":      "postgres://u@/other?host=%2Ftmp%2Fx",
		"host=/tmp/x user=u dbname=a":          "host=/tmp/x user=u dbname=a dbname=other",
	} {
		got := withDatabase(dsn, "other")
		if got != want {
			t.Errorf("%s: %s", dsn, got)
		}
		config, err := pgx.ParseConfig(got)
		if err != nil || config.Database != "other" {
			t.Errorf("%s: database %q, %v", got, config.Database, err)
		}
	}
}

func BenchmarkDSN(b *testing.B) {
	DSN(b)
	for b.Loop() {
		DSN(b)
	}
}
