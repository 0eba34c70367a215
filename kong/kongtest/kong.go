package kongtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Config says how Kong runs. Zero values are Kong's defaults.
type Config struct {
	Binary  string            // the plugin, see Build
	Env     map[string]string // what nginx_main_env lets through
	Workers int               // 1
	Pool    int               // idle connections a worker keeps, 256
	// Timeout bounds every wait for the plugin, 60 s.
	Timeout time.Duration
	// RespawnEvery is the least time between two starts of the process, 1 s.
	// A negative one leaves it to Respawn.
	RespawnEvery time.Duration
	// Replays bounds how often one event may be repeated, 10. Kong has no bound.
	Replays int
}

func (c Config) withDefaults() Config {
	if c.Workers == 0 {
		c.Workers = 1
	}
	if c.Pool == 0 {
		c.Pool = 256
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.RespawnEvery == 0 {
		c.RespawnEvery = time.Second
	}
	if c.Replays == 0 {
		c.Replays = 10
	}
	return c
}

// Kong is a running Kong with one plugin. It is safe for concurrent use.
type Kong struct {
	t       testing.TB
	cfg     Config
	prefix  string
	socket  string
	dump    Dump
	workers []*worker
	logs    logs

	seq, routes   atomic.Int64 // shared memory: __seq__; ids of routes
	next          atomic.Uint64
	dials, starts atomic.Int64

	stop context.CancelFunc
	wake chan struct{}
	done sync.WaitGroup
	mu   sync.Mutex
	proc *process
}

// Start reads the plugin's description, starts the process and waits until its
// socket answers. The test's end stops it.
func Start(t testing.TB, cfg Config) *Kong {
	t.Helper()
	prefix, err := os.MkdirTemp("", "kong") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(prefix) })
	name := strings.ToLower(filepath.Base(cfg.Binary))
	k := &Kong{
		t: t, cfg: cfg.withDefaults(), prefix: prefix,
		socket: filepath.Join(prefix, name+".socket"),
		wake:   make(chan struct{}, 1),
	}
	for range k.cfg.Workers {
		k.workers = append(k.workers, &worker{k: k, instances: map[*Route]*running{}, numbers: map[*Route]int64{}})
	}
	k.dump = k.readDump()
	ctx, cancel := context.WithCancel(context.Background())
	k.stop = cancel
	k.done.Go(func() { k.supervise(ctx) })
	t.Cleanup(k.close)
	k.await(0)
	return k
}

// readDump runs -dump as Kong does when it starts. Kong takes the name from it
// and looks for the socket under its own.
func (k *Kong) readDump() Dump {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, k.cfg.Binary, "-dump", "-kong-prefix", k.prefix)
	cmd.Env = k.environment()
	out, err := cmd.Output()
	if err != nil {
		k.t.Fatalf("%s -dump: %v", k.cfg.Binary, err)
	}
	d, err := ParseDump(out)
	if err != nil {
		k.t.Fatalf("%s -dump: %v\n%s", k.cfg.Binary, err, out)
	}
	if d.SocketPath != k.socket {
		k.t.Fatalf("%s -dump: socket %s, Kong connects to %s", k.cfg.Binary, d.SocketPath, k.socket)
	}
	return d
}

// Dump is the plugin's description.
func (k *Kong) Dump() Dump { return k.dump }

// Socket is the path of the plugin's socket.
func (k *Kong) Socket() string { return k.socket }

// Starts and Dials count the instances started and the connections made.
func (k *Kong) Starts() int64 { return k.starts.Load() }

// Dials counts connections to the plugin.
func (k *Kong) Dials() int64 { return k.dials.Load() }

// Logs are the lines of Kong's error log so far: the process's output and Kong's
// own, each with its level.
func (k *Kong) Logs() []LogLine { return k.logs.all() }

// RestartInstances is what every change of Kong's configuration does: each
// worker starts each route's instance anew on its next request, then closes the
// old one.
func (k *Kong) RestartInstances() {
	for _, w := range k.workers {
		w.reload()
	}
}

// resetInstances is reset_instance of plugin.lua, which tells all workers.
func (k *Kong) resetInstances() {
	for _, w := range k.workers {
		w.reset()
	}
}

func (k *Kong) worker(n int) *worker {
	if n == 0 {
		n = int(k.next.Add(1)%uint64(len(k.workers))) + 1
	}
	return k.workers[n-1]
}

func (k *Kong) close() {
	k.stop()
	k.done.Wait()
	for _, w := range k.workers {
		w.drop()
	}
	if k.t.Failed() {
		for _, l := range k.Logs() {
			k.t.Logf("%s: %s", l.Level, l.Text)
		}
	}
}
