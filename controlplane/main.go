// Command latchkey is the control plane. What it can do is in package cli; here
// is only what a program gets from its operating system.
package main

import (
	"context"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/cli"
)

// version is set when the program is built (-ldflags "-X main.version=…").
var version = "dev"

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	return cli.Run(ctx, cli.Environment{
		Args: os.Args, Environ: os.Environ(), Account: account(), Version: version,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ReadFile: os.ReadFile, Now: time.Now,
	})
}

// account names whoever runs the program, for the journal.
func account() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid()) // as in a container that has no such account
}
