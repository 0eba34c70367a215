package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Main is the whole of a plugin's main function: it reads the flags that Kong
// and go-pdk agree on, prints the description or serves until SIGTERM or until
// Kong is gone, and returns the exit code. Kong runs the binary by its file
// name, which is the plugin's name and the socket's.
func Main(p Plugin, opt Options) int {
	// Kong's workers run with umask 0: nothing this process creates may be
	// open to others.
	syscall.Umask(0o077)
	flags := flag.NewFlagSet(os.Args[0], flag.ContinueOnError)
	prefix := flags.String("kong-prefix", "/usr/local/kong", "Kong's prefix, where the socket is")
	describe := flags.Bool("dump", false, "print the plugin's description as JSON and end")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	exe, err := os.Executable()
	if err != nil {
		return failed(err)
	}
	name := filepath.Base(exe)
	path := filepath.Join(*prefix, name+".socket")
	if *describe {
		return failed(dump(os.Stdout, p, name, path))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return failed(New(p, opt).Serve(ctx, path))
}

func failed(err error) (code int) {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
