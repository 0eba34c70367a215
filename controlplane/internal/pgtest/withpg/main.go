// Command withpg runs a command with a PostgreSQL for tests.
//
//	withpg [-docker] [-durable] -- go test ./...
//	withpg -find
//
// It exports the server's connection string as TEST_DATABASE_URL, waits for the
// command, removes the server, and exits as the command did. The server is the
// one that TEST_DATABASE_URL names already, else one from the binaries on this
// machine, else a container where a Docker engine answers. With none of the
// three it fails: tests that need a database are never passed over.
//
// With -find it only says whether this machine has the binaries, by its exit code.
//
// The Makefile is its caller.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

func main() {
	docker := flag.Bool("docker", false, "run PostgreSQL in a container, whatever else there is")
	durable := flag.Bool("durable", false, "have the server wait for the disk, for benchmarks of writes")
	find := flag.Bool("find", false, "exit with 0 where PostgreSQL is on this machine, else with 1")
	flag.Parse()
	switch {
	case *find:
		if _, err := pgtest.FindLocal(); err != nil {
			os.Exit(1)
		}
		return
	case flag.NArg() == 0:
		fmt.Fprintln(os.Stderr, "usage: withpg [-docker] [-durable] -- command [argument …], or withpg -find")
		os.Exit(2)
	}
	code, err := run(flag.Args(), *docker, *durable)
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpg:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run returns the command's exit code.
func run(args []string, docker, durable bool) (code int, err error) {
	// A signal of the terminal reaches the command too; we outlive it and clean up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dsn, remove, err := start(ctx, docker, durable)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, remove()) }()

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	cmd.Env = append(os.Environ(), "TEST_DATABASE_URL="+dsn)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil // its own output says why
	}
	return 0, err
}

// start provides the server; remove undoes it.
func start(ctx context.Context, docker, durable bool) (dsn string, remove func() error, err error) {
	if docker {
		return startContainer(ctx, durable)
	}
	if dsn := os.Getenv("TEST_DATABASE_URL"); dsn != "" {
		return dsn, func() error { return nil }, nil
	}
	local, err := pgtest.StartLocal(ctx, durable)
	if err == nil {
		return local.DSN(), local.Remove, nil
	}
	dsn, remove, dockerErr := startContainer(ctx, durable)
	if dockerErr != nil {
		return "", nil, fmt.Errorf("no PostgreSQL for the tests.\nTEST_DATABASE_URL is not set.\n%w\n%w", err, dockerErr)
	}
	return dsn, remove, nil
}
