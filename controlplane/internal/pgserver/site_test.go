package pgserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClosedDataDirectory opens a data directory that only its owner can enter:
// root's server, which runs as another account, has its files elsewhere and
// says so; anybody else's is as ever.
func TestClosedDataDirectory(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "data")
	var said strings.Builder
	openHere := func() *Server {
		server, err := Open(t.Context(), Config{
			DataDir: dir, Binaries: binaries(t), Fast: true, Log: func(line string) { said.WriteString(line + "\n") },
		})
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	first := openHere()
	t.Cleanup(func() { remove(t, first.site) })
	query(t, first.DSN(), "CREATE TABLE kept AS SELECT 'still here'::text AS what")
	closeServer(t, first)

	moved := os.Getuid() == 0
	if got := filepath.Dir(first.Dir()) == elsewhere; got != moved {
		t.Errorf("files in %s", first.Dir())
	}
	if moved && !strings.Contains(said.String(), "the database files go to "+first.Dir()) {
		t.Errorf("said %q", said.String())
	}
	second := openHere()
	if got := query(t, second.DSN(), "SELECT what FROM kept"); got != "still here" {
		t.Errorf("read %q", got)
	}
	closeServer(t, second)
	if !moved {
		return
	}

	// The same path again, after its data directory was deleted: a new database.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	third := openHere()
	t.Cleanup(func() { remove(t, third.site) })
	defer closeServer(t, third)
	if got := query(t, third.DSN(), "SELECT count(*)::text FROM pg_tables WHERE tablename = 'kept'"); got != "0" {
		t.Error("took up the database of a deleted data directory")
	}
}

// remove deletes what a site leaves outside the data directory.
func remove(t *testing.T, s site) {
	t.Helper()
	for _, path := range []string{s.files, s.lockFile(), s.stateFile()} {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	}
	_ = os.Remove(elsewhere) // where it is empty now
}

func TestReaches(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a/b")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	me, stranger := ownAccount(), account{uid: 1 << 30, gid: 1 << 30}
	for name, row := range map[string]struct {
		mode         os.FileMode
		me, stranger bool
	}{
		"open":            {0o755, true, true},
		"pass through":    {0o711, true, true},
		"read only":       {0o744, true, false},
		"closed":          {0o700, true, false},
		"closed to owner": {0o011, false, true},
	} {
		if err := os.Chmod(dir, row.mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := me.mayEnter(info); got != row.me {
			t.Errorf("%s: owner %v", name, got)
		}
		if got := stranger.mayEnter(info); got != row.stranger {
			t.Errorf("%s: stranger %v", name, got)
		}
	}
	if !stranger.reaches("/usr/lib") || !stranger.reaches("/usr/no/such/place") {
		t.Error("does not reach /usr/lib")
	}
}
