package kongtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is one run of the plugin's binary.
type process struct {
	cmd     *exec.Cmd
	n       int // the first is 1
	started time.Time
	done    chan struct{} // closed when it has ended and its output was read
}

// environment is the whole of a plugin's environment: nginx workers have none,
// the shell that Kong starts it through adds PWD.
func (k *Kong) environment() []string {
	env := []string{"PWD=" + k.prefix}
	for name, v := range k.cfg.Env {
		env = append(env, name+"="+v)
	}
	return env
}

// supervise is pluginserver_timer of process.lua: it starts the process again
// whenever it ended, at most once in RespawnEvery.
func (k *Kong) supervise(ctx context.Context) {
	for n := 1; ; n++ {
		p, err := k.spawn(n)
		if err != nil {
			k.logs.add("err", err.Error())
			return
		}
		k.mu.Lock()
		k.proc = p
		k.mu.Unlock()
		select {
		case <-p.done:
		case <-ctx.Done():
			k.end(p)
			return
		}
		k.logs.add("notice", fmt.Sprintf("external pluginserver terminated: %v", p.cmd.ProcessState))
		for _, w := range k.workers {
			w.drop() // their other side is closed, which nginx notices
		}
		var again <-chan time.Time
		if k.cfg.RespawnEvery >= 0 {
			again = time.After(time.Until(p.started.Add(k.cfg.RespawnEvery)))
		}
		select {
		case <-again:
		case <-k.wake:
		case <-ctx.Done():
			return
		}
	}
}

// end is Kong's own end: SIGTERM, and what a container does after that.
func (k *Kong) end(p *process) {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		k.t.Errorf("the plugin did not end on SIGTERM")
		p.cmd.Process.Kill()
		<-p.done
	}
}

// spawn starts the binary as ngx.pipe does: through a shell that it replaces,
// with the worker's umask 0 and its output joined.
func (k *Kong) spawn(n int) (*process, error) {
	cmd := exec.Command("/bin/sh", "-c", `umask 0; exec "$0" -kong-prefix "$1"`, k.cfg.Binary, k.prefix)
	cmd.Env = k.environment()
	cmd.Dir = k.prefix
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = 5 * time.Second // the output may outlive the process in a child of its own
	p := &process{cmd: cmd, n: n, started: time.Now(), done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	reading.Go(func() { k.logs.read(r) })
	k.done.Go(func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		w.Close()
		reading.Wait()
		close(p.done)
	})
	return p, nil
}

func (k *Kong) current() *process {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.proc
}

// await waits until a process later than the n-th answers on its socket.
func (k *Kong) await(n int) {
	k.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if p := k.current(); p != nil && p.n > n {
			if c, err := net.Dial("unix", k.socket); err == nil {
				c.Close()
				return
			}
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("the plugin does not answer on %s: %v", k.socket, k.Logs())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Pid is the process that runs now, or ran last.
func (k *Kong) Pid() int { return k.current().cmd.Process.Pid }

// Kill ends the process without warning and returns when it is gone.
func (k *Kong) Kill() {
	p := k.current()
	p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Respawn kills the process if it runs, starts the next without waiting for
// RespawnEvery, and returns when that one answers.
func (k *Kong) Respawn() {
	k.t.Helper()
	p := k.current()
	select {
	case k.wake <- struct{}{}:
	default:
	}
	p.cmd.Process.Kill()
	k.await(p.n)
}
