package pgtest

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/migrations"
)

// PrivateServer is a server that belongs to one test, which may kill it and
// bring it back. What was committed survives both.
type PrivateServer struct {
	t     testing.TB
	local *Local
	dsn   string
}

// privateServers bounds how many run at a time: each costs half a second of
// two cores to make.
var privateServers = make(chan struct{}, 2)

// Private starts a server for this test alone and removes it at the end. Where
// the other tests have a server elsewhere and this machine has no PostgreSQL to
// start, the test is left out, by name; with no PostgreSQL at all it fails. At
// most two run at a time in a test process; a test that wants more waits for
// the others to end, and must not take two itself.
func Private(t testing.TB) *PrivateServer {
	t.Helper()
	privateServers <- struct{}{}
	t.Cleanup(func() { <-privateServers })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := FindLocal(); err != nil && os.Getenv("TEST_DATABASE_URL") != "" {
		t.Skip("needs PostgreSQL's programs on this machine") // the other tests run on a server elsewhere
	}
	local, err := StartLocal(ctx, false)
	if err != nil {
		t.Fatalf("this test needs PostgreSQL on this machine, to kill it: %v", err)
	}
	t.Cleanup(func() {
		if err := local.Remove(); err != nil {
			t.Error(err)
		}
	})
	template, err := templateFor(local.DSN(), migrations.FS)
	if err != nil {
		t.Fatalf("make the template database: %v", err)
	}
	name, err := clone(local.DSN(), template)
	if err != nil {
		t.Fatalf("make a database for the test: %v", err)
	}
	return &PrivateServer{t: t, local: local, dsn: withDatabase(local.DSN(), name)}
}

// DSN connects to a database with the product's schema. It stays the same.
func (p *PrivateServer) DSN() string { return p.dsn }

// Kill ends the server as a crash does, and returns when all of it is gone.
func (p *PrivateServer) Kill() { p.end(syscall.SIGKILL) }

// Stop shuts the server down, ending its connections.
func (p *PrivateServer) Stop() { p.end(syscall.SIGINT) }

// Start brings the server back after Kill or Stop.
func (p *PrivateServer) Start() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := p.local.Restart(ctx); err != nil {
		p.t.Fatal(err)
	}
}

func (p *PrivateServer) end(signal syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.local.PID(), signal); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.local.Done():
	case <-time.After(patience):
		p.t.Fatal("the server does not end")
	}
}
