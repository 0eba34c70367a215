package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is one running server, from its start until all of it is gone.
type process struct {
	pid    int
	done   chan struct{} // closed when the postmaster and its children are gone
	failed error         // how the postmaster ended; read after done
}

// launch starts the server and returns once it has a process id.
//
// Its goroutine stays on one thread for the server's whole life and waits for
// it. That is also what makes Linux's parent-death signal sound: the signal is
// sent when the *thread* that started the child ends, and this one ends with
// the program. A kill -9 of the program thus takes the server along, gently.
func launch(cmd *exec.Cmd) (*process, error) {
	// Every process of the server inherits the write end, so the end of the
	// file says that the last one is gone, also after a kill -9 of the first.
	alive, held, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{held}
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		defer alive.Close()
		err := cmd.Start()
		_ = held.Close() // the child has its own
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.failed = cmd.Wait()
		_, _ = io.Copy(io.Discard, alive)
	}()
	return p, <-started
}

// command is the server's command line. Settings are given here and not in
// postgresql.conf, so that every start has those of the program that starts it.
func (s site) command(with Installation, socketDir string, fast bool) *exec.Cmd {
	settings := []string{
		"listen_addresses=", // no TCP
		"port=" + socketPort,
		"unix_socket_directories=" + socketDir,
		"unix_socket_permissions=0700",
		"max_connections=200",
		"timezone=UTC",
		"log_timezone=UTC",
		"logging_collector=off",
		// A statement or a row in the log could hold a digest or an address.
		"log_min_error_statement=panic",
		"log_error_verbosity=terse",
		"log_parameter_max_length_on_error=0",
	}
	if fast {
		// Not synchronous_commit=off: a commit must still survive a kill -9 of
		// the server, for there are tests of just that.
		settings = append(settings, "fsync=off", "full_page_writes=off", "checkpoint_timeout=1h", "autovacuum_naptime=1h")
	}
	args := []string{"-D", s.files}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(with.Dir, "postgres"), args...) //nolint:noctx // ended by stop, which is gentle
	// A session of its own: Ctrl-C reaches the owner, who then ends the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.account.credential(), Setsid: true}
	endWithParent(cmd.SysProcAttr)
	cmd.Dir, cmd.Env = "/", environment()
	return cmd
}

// run starts the server and waits until it takes connections.
//
// After a kill -9 the children of the former postmaster may live a moment
// longer, and the new one refuses to start beside them; so where it is known, or
// a stale postmaster.pid shows, that there was one, it is started until it stays.
func (s site) run(ctx context.Context, server *Server, crashed bool) (*process, error) {
	within, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	with, socketDir, fast := server.with, server.socket, server.fast
	crashed = crashed || exists(s.pidFile())
	p, err := s.runOnce(within, with, socketDir, fast)
	if err == nil || !crashed || within.Err() != nil {
		return p, err
	}
	patience, stop := context.WithTimeout(within, leaveTimeout)
	defer stop()
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for err != nil {
		select {
		case <-patience.Done():
			return nil, err
		case <-pause.C:
			p, err = s.runOnce(within, with, socketDir, fast)
		}
	}
	return p, nil
}

// runOnce starts the server once.
func (s site) runOnce(ctx context.Context, with Installation, socketDir string, fast bool) (p *process, err error) {
	output, from, err := s.openLog()
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd := s.command(with, socketDir, fast)
	cmd.Stdout, cmd.Stderr = output, output
	if p, err = launch(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	ready := poll(ctx, func() bool {
		select {
		case <-p.done:
			return true
		default:
			now := s.postmaster()
			return now.pid == p.pid && now.status == "ready"
		}
	})
	said := s.logSince(from)
	select {
	case <-p.done:
		return nil, fmt.Errorf("PostgreSQL %d ended at its start: %w%s", with.Major, p.failed, said)
	default:
	}
	if !ready {
		stopErr := p.stop(ctx)
		return nil, fmt.Errorf("PostgreSQL %d does not come up: %w%s", with.Major, errors.Join(ctx.Err(), stopErr), said)
	}
	return p, nil
}

// stop ends the server: a fast shutdown, when ctx ends or stopTimeout has passed
// an immediate one, and then a kill.
func (p *process) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		select {
		case <-p.done:
			return nil
		default:
		}
		_ = syscall.Kill(p.pid, signal) // gone already is what we want
		select {
		case <-p.done:
			return nil
		case <-ctx.Done():
		}
		var more context.CancelFunc
		ctx, more = context.WithTimeout(context.WithoutCancel(ctx), stopTimeout/4)
		defer more()
	}
	select {
	case <-p.done:
		return nil
	default:
		return fmt.Errorf("PostgreSQL (pid %d) does not end", p.pid)
	}
}
