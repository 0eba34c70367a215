package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postmaster is what the server writes of itself into postmaster.pid.
type postmaster struct {
	pid    int // zero: there is no such file, or none that can be read
	socket string
	status string
}

func (s site) pidFile() string { return filepath.Join(s.files, "postmaster.pid") }

// postmaster reads the file: the process id on line 1, the socket's directory on
// line 5 and, since PostgreSQL 10, "starting", "ready" or "stopping" on line 8.
// pg_ctl waits on the same line.
func (s site) postmaster() postmaster {
	text, err := os.ReadFile(s.pidFile())
	if err != nil {
		return postmaster{}
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 1 {
		return postmaster{}
	}
	if len(lines) < 8 {
		return postmaster{pid: pid}
	}
	return postmaster{pid: pid, socket: lines[4], status: strings.TrimSpace(lines[7])}
}

// clear makes the files free for a new server, whatever a killed owner left: it
// stops a server that still runs on them, and takes away a postmaster.pid whose
// number now belongs to an innocent process, for PostgreSQL would believe it
// and refuse to start. The caller holds the lock, so the server is nobody's. crashed
// says that there was one, whose children may live a moment longer.
func (s site) clear(ctx context.Context, log func(string)) (crashed bool, err error) {
	left := s.postmaster()
	switch {
	case left.pid == 0:
	case s.runs(ctx, left.pid):
		log(fmt.Sprintf("stopping the PostgreSQL of a process that was killed (pid %d)", left.pid))
		if err := s.stopOrphan(ctx, left.pid); err != nil {
			return false, err
		}
	case syscall.Kill(left.pid, 0) == nil:
		if err := os.Remove(s.pidFile()); err != nil {
			return false, err
		}
	}
	was, err := s.readState()
	if err != nil {
		return false, err
	}
	removeSocketDir(was.SocketDir)
	removeSocketDir(left.socket) // of an owner that was killed before it wrote its state
	return left.pid != 0, nil
}

// stopOrphan asks for a fast shutdown, then for an immediate one, then kills.
func (s site) stopOrphan(ctx context.Context, pid int) error {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the PostgreSQL that runs on %s (pid %d): %w", s.files, pid, err)
		}
		within, cancel := context.WithTimeout(ctx, stopTimeout/3)
		gone := poll(within, func() bool { return !s.runs(within, pid) })
		cancel()
		if gone {
			return nil
		}
	}
	return fmt.Errorf("the PostgreSQL that runs on %s (pid %d) does not stop", s.files, pid)
}

// runs reports whether pid is a server on these files. A number alone proves
// nothing, since numbers are used again, and a dead process that nobody waited
// for keeps its own; the working directory of a server is its database files.
func (s site) runs(ctx context.Context, pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	if _, err := os.Stat("/proc/self/cwd"); err == nil {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		files, resolveErr := filepath.EvalSymlinks(s.files)
		return err == nil && resolveErr == nil && cwd == files
	}
	within, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	line, err := exec.CommandContext(within, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(line), s.files)
}

// poll asks until the answer is yes; false means that ctx ended first.
func poll(ctx context.Context, yes func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
