package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shared is the server of this test process, started by the first test that
// asks and stopped by Run.
var shared struct {
	sync.Mutex
	runs  bool // under Run, which will clean up
	dsn   string
	err   error
	local *Local
}

// Run is a package's TestMain. It stops the server that the tests started.
func Run(m *testing.M) {
	shared.Lock()
	shared.runs = true
	shared.Unlock()
	os.Exit(stopShared(m.Run()))
}

// server is the connection string of the shared server.
func server(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.dsn == "" && shared.err == nil {
		shared.dsn, shared.err = startShared()
	}
	if shared.err != nil {
		t.Fatalf("this test needs PostgreSQL: %v\nor set TEST_DATABASE_URL to a server where databases may be created, or use `make test-docker`", shared.err)
	}
	return shared.dsn
}

func startShared() (string, error) {
	if dsn := os.Getenv("TEST_DATABASE_URL"); dsn != "" {
		return dsn, nil
	}
	if !shared.runs {
		return "", fmt.Errorf("the package has no `func TestMain(m *testing.M) { pgtest.Run(m) }`, which stops the server")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	local, err := StartLocal(ctx, false)
	if err != nil {
		return "", err
	}
	shared.local = local
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process, which Run ends
		<-interrupted
		os.Exit(stopShared(1))
	}()
	return local.DSN(), nil
}

// stopShared returns the exit code, which a failure to stop turns into one.
func stopShared(code int) int {
	shared.Lock()
	defer shared.Unlock()
	if shared.local == nil {
		return code
	}
	if err := shared.local.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	shared.local = nil
	return code
}
