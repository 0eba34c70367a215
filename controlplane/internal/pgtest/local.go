package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgserver"
)

// Local is a server on new, temporary database files.
type Local struct {
	*pgserver.Server
	dir string
}

// StartLocal starts one from the PostgreSQL on this machine. Unless durable, it
// does not wait for the disk: right for tests, wrong for a benchmark of writes.
func StartLocal(ctx context.Context, durable bool) (*Local, error) {
	binaries, err := FindLocal()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "latchkey-test-")
	if err != nil {
		return nil, err
	}
	l := &Local{dir: dir}
	if err = os.Chmod(dir, 0o711); err == nil { //nolint:gosec // the account of root's server passes through
		l.Server, err = pgserver.Open(ctx, pgserver.Config{DataDir: filepath.Join(dir, "data"), Binaries: binaries, Fast: !durable})
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return l, nil
}

// Remove stops the server and deletes its files.
func (l *Local) Remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := l.Close(ctx)
	// Where root's TMPDIR is closed, the files are not under dir.
	for _, path := range []string{l.dir, l.Dir(), l.Dir() + ".lock", l.Dir() + ".json"} {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return fmt.Errorf("remove the test server: %w", err)
	}
	return nil
}

// FindLocal looks for PostgreSQL on this machine, this checkout included.
func FindLocal() (pgserver.Binaries, error) { return pgserver.Find(fetched()...) }

// fetched is where `make postgres` puts the programs in this checkout.
func fetched() []string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return []string{filepath.Join(dir, ".cache/postgres/bin")}
		}
		dir = filepath.Dir(dir)
	}
	return nil
}
