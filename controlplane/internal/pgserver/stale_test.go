package pgserver

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// lend gives the number of a server that is gone to an innocent process, which it
// returns.
func lend(t *testing.T, s site, stale string) *os.Process {
	t.Helper()
	sleeper := exec.CommandContext(t.Context(), "sleep", "600")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Credential: s.account.credential()}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() })
	_, rest, _ := strings.Cut(stale, "\n")
	if err := os.WriteFile(s.pidFile(), []byte(itoa(sleeper.Process.Pid)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.account.give(s.pidFile()); err != nil {
		t.Fatal(err)
	}
	return sleeper.Process
}

func pidFile(t *testing.T, s site) string {
	t.Helper()
	text, err := os.ReadFile(s.pidFile())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReusedProcessID leaves a postmaster.pid that names a living process which
// has nothing to do with PostgreSQL.
func TestReusedProcessID(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	server := open(t, dir)
	stale := pidFile(t, server.site)
	closeServer(t, server)
	innocent := lend(t, server.site, stale)
	if got := query(t, open(t, dir).DSN(), "SELECT 'up'"); got != "up" {
		t.Errorf("read %q", got)
	}
	if innocent.Signal(syscall.Signal(0)) != nil {
		t.Error("the innocent process is gone")
	}
}

// TestChildOutlivesKilledServer holds a child of a killed server back, which keeps
// PostgreSQL from starting anew on its files, until a start has failed for it.
func TestChildOutlivesKilledServer(t *testing.T) {
	t.Parallel()
	for name, reused := range map[string]bool{"its number is free": false, "its number is another's": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			server := open(t, dir)
			child, err := strconv.Atoi(query(t, server.DSN(), "SELECT pid::text FROM pg_stat_activity WHERE backend_type = 'checkpointer'"))
			if err != nil {
				t.Fatal(err)
			}
			release := func() { _ = syscall.Kill(child, syscall.SIGKILL) }
			t.Cleanup(release)
			if err := syscall.Kill(child, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			stale := pidFile(t, server.site)
			if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := server.lock.Close(); err != nil { // as that of a killed owner
				t.Fatal(err)
			}
			server.now = nil
			if reused {
				lend(t, server.site, stale)
			}
			var watch sync.WaitGroup
			defer watch.Wait()
			watch.Go(func() {
				defer release()
				within, cancel := context.WithTimeout(t.Context(), leaveTimeout/2)
				defer cancel()
				poll(within, func() bool { return strings.Contains(server.site.logSince(0), "pre-existing shared memory block") })
			})
			if got := query(t, open(t, dir).DSN(), "SELECT 'up'"); got != "up" {
				t.Errorf("read %q", got)
			}
			if said := server.site.logSince(0); !strings.Contains(said, "pre-existing shared memory block") {
				t.Errorf("no start failed for the child: %s", said)
			}
		})
	}
}
