package server_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"net"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// The tests here run the harness's own test plugin, on this server, under
// kongtest; the ones in instances_test.go speak to a server in this process.

func start(t *testing.T) *kongtest.Kong {
	t.Helper()
	return kongtest.Start(t, kongtest.Config{Binary: binary(t)})
}

func binary(t *testing.T) string {
	t.Helper()
	return kongtest.Build(t, "../../kong/kongtest/testdata/echo/own", "echo")
}

func access(t *testing.T, k *kongtest.Kong, mode string) kongtest.Outcome {
	t.Helper()
	out, err := k.Route(map[string]any{"mode": mode}).Access(t.Context(), kongtest.Request{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Whatever goes wrong in a handler is a 500 with a problem body, given by the
// plugin at once, without a replay, and the process lives on.
func TestWhatIsNotDecidedIsRefused(t *testing.T) {
	t.Parallel()
	k := start(t)
	pid := k.Pid()
	for _, mode := range []string{"panic", "latepanic", "undecided", "badcall", "broken", "brokenpanic"} {
		out := access(t, k, mode)
		if out.Allowed || out.Status != 500 || out.Err != nil || out.Replays != 0 {
			t.Errorf("%s: %+v, want the plugin's own 500", mode, out)
		}
		if !strings.Contains(string(out.Body), `"code":"internal"`) || out.Headers.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: no problem: %s %v", mode, out.Body, out.Headers)
		}
	}
	if out := access(t, k, "afterexit"); out.Allowed || out.Status != 403 {
		t.Errorf("a call after an exit, then true: %+v, want the exit's 403", out)
	}
	if k.Pid() != pid {
		t.Error("the process died")
	}
}

func TestWrongConfigurationIsLoggedOnce(t *testing.T) {
	t.Parallel()
	k := start(t)
	r := k.Route(map[string]any{"mode": "broken"})
	for range 3 {
		if _, err := r.Access(t.Context(), kongtest.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	access(t, k, "brokenpanic")
	var lines []string
	for _, l := range k.Logs() {
		if l.Level == "err" {
			lines = append(lines, l.Text)
		}
		if strings.Contains(l.Text, "secret") {
			t.Errorf("a panic's value is in the log: %s", l.Text)
		}
	}
	if len(lines) != 2 || !strings.Contains(lines[0], "a broken configuration") {
		t.Errorf("log: %q, want one line for each route", lines)
	}
}

func TestSocketIsTheOwnersAlone(t *testing.T) {
	t.Parallel()
	k := start(t)
	f, err := os.Stat(k.Socket())
	if err != nil {
		t.Fatal(err)
	}
	if f.Mode().Perm() != 0o600 {
		t.Errorf("mode %v under umask 0, want 0600", f.Mode())
	}
}

// A second process takes the path over without a gap, and the first one ends.
func TestSuccessorTakesOver(t *testing.T) {
	t.Parallel()
	first, prefix := orphan(t)
	second := exec.Command(binary(t), "-kong-prefix", prefix)
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Process.Signal(syscall.SIGTERM); _ = second.Wait() })
	if err := waitFor(t, first); err != nil {
		t.Errorf("the first process: %v, want an orderly end", err)
	}
	if c, err := net.Dial("unix", prefix+"/echo.socket"); err != nil {
		t.Errorf("the second process: %v", err)
	} else {
		c.Close()
	}
}

// orphan starts the binary on its own and waits for its socket.
func orphan(t *testing.T) (*exec.Cmd, string) {
	t.Helper()
	prefix, err := os.MkdirTemp("", "kong")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(prefix) })
	cmd := exec.Command(binary(t), "-kong-prefix", prefix)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	answers(t, prefix, true)
	return cmd, prefix
}

func answers(t *testing.T, prefix string, want bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("unix", prefix+"/echo.socket")
		if err == nil {
			c.Close()
		}
		if (err == nil) == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("answers: %v, want %v", err == nil, want)
		}
	}
}

func waitFor(t *testing.T, cmd *exec.Cmd) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("the process did not end until it was killed: %v", <-done)
		return nil
	}
}

func TestEndsOnSIGTERM(t *testing.T) {
	t.Parallel()
	cmd, _ := orphan(t)
	cmd.Process.Signal(syscall.SIGTERM)
	if err := waitFor(t, cmd); err != nil {
		t.Errorf("exit: %v, want 0", err)
	}
}

// The process is started by a shell that stands for nginx's first worker, and
// that is killed.
func TestEndsWhenItsKongIsGone(t *testing.T) {
	t.Parallel()
	prefix, err := os.MkdirTemp("", "kong")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(prefix) })
	worker := exec.Command("/bin/sh", "-c", `"$0" -kong-prefix "$1" & wait`, binary(t), prefix)
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	answers(t, prefix, true)
	_ = worker.Process.Kill()
	_ = worker.Wait()
	answers(t, prefix, false)
}
