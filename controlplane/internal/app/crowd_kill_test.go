package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/config"
)

// beReplica makes this binary a replica on the database that it names, until it
// is killed.
const beReplica = "LATCHKEY_TEST_REPLICA"

func serveUntilKilled(dsn string) {
	cfg, err := config.Load(environment(dsn, trusting), func(string) ([]byte, error) { return nil, io.EOF })
	if err == nil {
		cfg.DataDir = os.TempDir() // there is a database: nothing is written
		var a *app.App
		a, err = app.New(context.Background(), app.Options{
			Config: cfg, Version: "test", Now: time.Now, Notice: func(string) {}, Log: slog.New(slog.DiscardHandler),
		})
		if err == nil {
			fmt.Println("http://" + a.Addr())
			err = a.Run(context.Background())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// startProcess starts a replica that is a process of its own, and returns how to
// kill it without warning.
func startProcess(t *testing.T, dsn string) (r *replica, kill func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	process := exec.CommandContext(ctx, os.Args[0])
	process.Env, process.Stderr = append(os.Environ(), beReplica+"="+dsn), os.Stderr
	output, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	kill = func() { // SIGKILL, as exec does it
		cancel()
		_ = process.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the process did not become a replica: %v", err)
	}
	return &replica{t: t, url: strings.TrimSpace(line)}, kill
}
