package kongtest_test

import (
	"errors"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/kong/kongtest"
)

func runDump(t *testing.T, binary, prefix string) []byte {
	t.Helper()
	out, err := exec.Command(binary, "-dump", "-kong-prefix", prefix).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRestartInstances(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, binary, server string) {
		k := kongtest.Start(t, kongtest.Config{Binary: binary, Workers: 2})
		r := k.Route(nil)
		ask := func(wantStarts int64) {
			t.Helper()
			for worker := range 2 {
				for range 3 {
					out := access(t, r, kongtest.Request{Worker: worker + 1, Headers: h("X-API-Key", "k")})
					if !out.Allowed || out.Replays != 0 {
						t.Fatalf("%+v", out)
					}
				}
			}
			if got := k.Starts(); got != wantStarts {
				t.Errorf("%d instances started, want %d", got, wantStarts)
			}
		}
		ask(2) // lazily, one per worker
		k.RestartInstances()
		ask(4)
		if server == "go-pdk" { // which says so
			for _, id := range []string{"1", "2"} {
				eventually(t, "instance "+id+" is closed", func() bool { return logged(k, "info", "closed instance "+id) })
			}
		}
		r.Configure(map[string]any{"read": "X-Other"})
		out := access(t, r, kongtest.Request{Headers: h("X-API-Key", "k")})
		if out.Allowed || out.Status != 401 {
			t.Errorf("with the new configuration: %+v", out)
		}
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}

func TestKillAndRespawn(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, binary, server string) {
		k := kongtest.Start(t, kongtest.Config{Binary: binary, Workers: 2, RespawnEvery: -1})
		r := k.Route(nil)
		req := kongtest.Request{Worker: 1, Headers: h("X-API-Key", "k")}
		if out := access(t, r, req); !out.Allowed {
			t.Fatalf("%+v", out)
		}
		pid := k.Pid()
		k.Kill()
		if out := access(t, r, req); out.Allowed || out.Status != 500 || out.Err == nil {
			t.Errorf("without a process: %+v, want Kong's 500", out)
		}
		k.Respawn()
		// The worker still holds the old process's instance: the event for it
		// is closed on, and repeated with a new one.
		if out := access(t, r, req); !out.Allowed || out.Replays != 1 {
			t.Errorf("after the respawn: %+v, want allowed at the second attempt", out)
		}
		if k.Pid() == pid {
			t.Error("the same process")
		}
	})
}

// Under load a death costs answers, never a decision: every request is allowed
// by the plugin or refused by Kong, and service comes back by itself.
func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, binary, server string) {
		k := kongtest.Start(t, kongtest.Config{Binary: binary, Workers: 2, RespawnEvery: 50 * time.Millisecond, Pool: 2})
		good, refused := k.Route(nil), k.Route(map[string]any{"read": "X-None"})
		var allowed, failed, replayed atomic.Int64
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for range 8 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					for _, r := range []*kongtest.Route{good, refused} {
						out, err := r.Access(t.Context(), kongtest.Request{Headers: h("X-API-Key", "k")})
						switch {
						case err != nil:
							t.Error(err)
						case out.Allowed && r == good:
							allowed.Add(1)
						case out.Allowed:
							t.Error("a request was let through that should not be")
						case out.Status == 500:
							failed.Add(1)
						}
						replayed.Add(int64(out.Replays))
					}
				}
			})
		}
		for range 3 {
			before := allowed.Load()
			k.Kill()
			eventually(t, "service comes back", func() bool { return allowed.Load() >= before+100 })
		}
		close(stop)
		wg.Wait()
		t.Logf("%d allowed, %d answered 500, %d repeated", allowed.Load(), failed.Load(), replayed.Load())
	})
}

// More requests at once than the pool keeps: the rest is dialled and dropped.
func TestPool(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, binary, server string) {
		k := kongtest.Start(t, kongtest.Config{Binary: binary, Pool: 1})
		r := k.Route(nil)
		for range 5 {
			access(t, r, kongtest.Request{Headers: h("X-API-Key", "k")})
		}
		if got := k.Dials(); got != 1 {
			t.Errorf("%d connections for requests in turn, want 1", got)
		}
		for range 3 {
			access(t, r, kongtest.Request{}) // an exit costs its connection
		}
		access(t, r, kongtest.Request{Headers: h("X-API-Key", "k")})
		if got := k.Dials(); got != 4 {
			t.Errorf("%d connections after three exits, want 4", got)
		}
	})
}

func TestGarbageOnTheSocket(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, binary, server string) {
		k := kongtest.Start(t, kongtest.Config{Binary: binary})
		pid := k.Pid()
		for name, garbage := range map[string]string{
			"half a length":   "\x01\x00",
			"half a message":  "\x05\x00\x00\x00ab",
			"no message":      "\x03\x00\x00\x00\xff\xff\xff",
			"an empty call":   "\x00\x00\x00\x00",
			"HTTP":            "GET / HTTP/1.1\r\n\r\n",
			"a large message": "\xff\xff\xff\x00",
		} {
			c, err := net.Dial("unix", k.Socket())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte(garbage)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			c.(*net.UnixConn).CloseWrite()
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Errorf("%s: was answered", name)
			}
			c.Close()
		}
		if out := access(t, k.Route(nil), kongtest.Request{Headers: h("X-API-Key", "k")}); !out.Allowed || k.Pid() != pid {
			t.Errorf("afterwards: %+v", out)
		}
	})
}

func TestEndlessReplayIsAFault(t *testing.T) {
	t.Parallel()
	k := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, servers["go-pdk"], "echo"), Replays: 3})
	out, err := k.Route(map[string]any{"mode": "close"}).Access(t.Context(), kongtest.Request{})
	if !errors.Is(err, kongtest.ErrReplays) || out.Allowed || out.Replays != 4 || k.Starts() != 4 {
		t.Errorf("%v %+v, %d starts; want the bound and a new instance for each attempt", err, out, k.Starts())
	}
}

func TestPanicOnGoPDK(t *testing.T) {
	t.Parallel()
	k := kongtest.Start(t, kongtest.Config{Binary: kongtest.Build(t, servers["go-pdk"], "echo"), RespawnEvery: -1})
	out := access(t, k.Route(map[string]any{"mode": "panic"}), kongtest.Request{})
	if out.Allowed || out.Status != 500 {
		t.Errorf("%+v, want 500", out)
	}
	if _, err := net.Dial("unix", k.Socket()); err == nil {
		t.Error("the process outlived the panic")
	}
}
