package pgserver

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// dataDir is a new one that the account of root's servers can reach, which
// t.TempDir is not.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgserver-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

func binaries(t *testing.T) Binaries {
	t.Helper()
	found, err := Find("../../../.cache/postgres/bin")
	if err != nil && os.Getenv("TEST_DATABASE_URL") != "" {
		t.Skip("needs PostgreSQL's programs on this machine") // the other tests run on a server elsewhere
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func open(t *testing.T, dir string) *Server {
	t.Helper()
	server, err := Open(t.Context(), Config{DataDir: dir, Binaries: binaries(t), Fast: true, Log: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeServer(t, server) })
	return server
}

func closeServer(t *testing.T, server *Server) {
	t.Helper()
	if err := server.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// query runs SQL and returns the first column of the first row, if any.
func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(answer, ",")
}

func TestSecondStartFindsItsData(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := open(t, dir)
	query(t, first.DSN(), "CREATE TABLE kept AS SELECT 'still here'::text AS what")
	socket := first.socket
	closeServer(t, first)
	if _, err := os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket's directory stayed: %v", err)
	}

	second := open(t, dir)
	if got := query(t, second.DSN(), "SELECT what FROM kept"); got != "still here" {
		t.Errorf("read %q", got)
	}
	if second.Joined() {
		t.Error("joined a server that was closed")
	}
}

func TestNothingButTheSocketIsOpen(t *testing.T) {
	t.Parallel()
	server := open(t, dataDir(t))
	if got := query(t, server.DSN(), "SELECT current_setting('listen_addresses')"); got != "" {
		t.Errorf("listens on %q", got)
	}
	for _, dir := range []string{server.socket, server.Dir()} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", dir, info.Mode())
		}
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	owner := open(t, dir)
	joiner, err := Open(t.Context(), Config{DataDir: dir}) // needs no binaries
	if err != nil {
		t.Fatal(err)
	}
	if owner.Joined() || !joiner.Joined() || joiner.DSN() != owner.DSN() || joiner.PID() != 0 || joiner.Done() != nil {
		t.Errorf("owner %v %s, joiner %v %s", owner.Joined(), owner.DSN(), joiner.Joined(), joiner.DSN())
	}
	if err := joiner.Restart(t.Context()); err == nil {
		t.Error("a joiner restarted the server")
	}
	closeServer(t, joiner)
	if got := query(t, owner.DSN(), "SELECT 'up'"); got != "up" {
		t.Error("the joiner took the server along")
	}
}

// TestManyAtOnce opens one new data directory from several sides: one owns.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	dir, found := dataDir(t), binaries(t)
	type result struct {
		server *Server
		err    error
	}
	results := make(chan result)
	for range 4 {
		go func() {
			server, err := Open(t.Context(), Config{DataDir: dir, Binaries: found, Fast: true})
			results <- result{server, err}
		}()
	}
	owners := 0
	for range 4 {
		got := <-results
		if got.err != nil {
			t.Error(got.err)
			continue
		}
		if !got.server.Joined() {
			owners++
		}
		defer closeServer(t, got.server)
	}
	if owners != 1 {
		t.Errorf("%d owners", owners)
	}
}

func TestLongDataDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dataDir(t), strings.Repeat("a-long-name/", 15))
	if err := os.MkdirAll(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	server := open(t, dir)
	if got := query(t, server.DSN(), "SELECT 'up'"); got != "up" {
		t.Errorf("read %q", got)
	}
}

func TestRestartAfterKill(t *testing.T) {
	t.Parallel()
	server := open(t, dataDir(t))
	dsn := server.DSN()
	query(t, dsn, "CREATE TABLE kept AS SELECT 'still here'::text AS what")
	if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-server.Done()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if server.DSN() != dsn {
		t.Errorf("moved from %s to %s", dsn, server.DSN())
	}
	if got := query(t, dsn, "SELECT what FROM kept"); got != "still here" {
		t.Errorf("read %q", got)
	}
}

func TestServerKilledAndOpenedAgain(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := open(t, dir)
	if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	closeServer(t, server)
	if got := query(t, open(t, dir).DSN(), "SELECT 'up'"); got != "up" {
		t.Errorf("read %q", got)
	}
}

// TestOrphanIsStopped abandons a running server as a killed owner does on a
// system where the server does not notice.
func TestOrphanIsStopped(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	orphan := open(t, dir)
	if err := orphan.lock.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, dir)
	select {
	case <-orphan.Done():
	default:
		t.Error("two servers on one set of files")
	}
	if next.Joined() {
		t.Error("joined a server that nobody owns")
	}
	orphan.now = nil // its lock is gone with it
	if got := query(t, next.DSN(), "SELECT 'up'"); got != "up" {
		t.Errorf("read %q", got)
	}
}

func TestErrorCarriesTheServersLog(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := open(t, dir)
	closeServer(t, server)
	conf := filepath.Join(server.Dir(), "postgresql.conf")
	if err := os.WriteFile(conf, []byte("no_such_setting = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := Open(ctx, Config{DataDir: dir, Binaries: binaries(t), Fast: true})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error %v", err)
	}
}
