package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// superuser is the role that the files are made with.
const superuser = "latchkey"

// initialise makes the database files beside their place and then moves them
// there, so that a kill in between leaves nothing that looks like a database.
func (s site) initialise(ctx context.Context, with Installation, fast bool) error {
	parent, name := filepath.Dir(s.files), filepath.Base(s.files)
	leftovers, _ := filepath.Glob(filepath.Join(parent, name+".new-*"))
	for _, dir := range leftovers {
		_ = os.RemoveAll(dir) // costs space and nothing else
	}
	draft, err := os.MkdirTemp(parent, name+".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(draft)
	if err := s.account.give(draft); err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, initTimeout)
	defer cancel()
	said, err := s.initdb(within, with, draft, ctype, fast)
	if bytes.Contains(said, []byte("invalid locale name")) {
		said, err = s.initdb(within, with, draft, "C", fast)
	}
	if err != nil {
		return fmt.Errorf("initdb: %w%s", errors.Join(err, within.Err()), tail(said))
	}
	if err := os.Rename(draft, s.files); err != nil {
		return err
	}
	return syncDir(parent)
}

// ctype knows the letters of every language, so that a search finds them in
// either case; texts are in the order of their bytes all the same. Systems that
// do not have it know those of ASCII.
const ctype = "C.UTF-8"

// initdb runs the program of this name and returns what it said.
func (s site) initdb(ctx context.Context, with Installation, draft, ctype string, fast bool) ([]byte, error) {
	args := []string{"-D", draft, "-U", superuser, "--encoding=UTF8", "--locale=C", "--lc-ctype=" + ctype, "--auth=trust"}
	if fast {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(with.Dir, "initdb"), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.account.credential(), Setsid: true}
	cmd.Dir, cmd.Env = "/", environment()
	cmd.WaitDelay = stopTimeout
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return said.Bytes(), err
}

// environment is what the programs see. Nothing of the caller's: PGPORT,
// PGOPTIONS and the like would change what they do, and on macOS a locale other
// than C makes the server multithreaded, which it refuses.
func environment() []string {
	return []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C", "TZ=UTC"}
}

// syncDir makes a rename outlive a loss of power.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// tail is the end of a program's output, for an error.
func tail(output []byte) string {
	const most = 2000
	text := strings.TrimSpace(string(output))
	if text == "" {
		return ""
	}
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return "; it said:\n" + text
}
