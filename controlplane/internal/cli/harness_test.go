package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/cli"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Run(m) }

// house is an installation to run commands in.
type house struct {
	t       *testing.T
	environ []string
}

// furnish makes an installation on a database of its own.
func furnish(t *testing.T, more ...string) *house {
	t.Helper()
	return &house{t: t, environ: append([]string{
		"DATABASE_URL=" + pgtest.DSN(t), "LATCHKEY_DATA_DIR=" + t.TempDir(),
		"LATCHKEY_LISTEN=127.0.0.1:0", "LATCHKEY_OPS_LISTEN=127.0.0.1:0", "AUTH_CACHE_MB=8",
	}, more...)}
}

// result is what a command left behind.
type result struct {
	code           int
	stdout, stderr string
}

// run runs one command to its end, without anything on stdin.
func (h *house) run(args ...string) result { return h.feed("", args...) }

// feed runs one command to its end, with a text on stdin.
func (h *house) feed(stdin string, args ...string) result {
	h.t.Helper()
	var out, errs buffer
	code := cli.Run(h.t.Context(), h.environment(strings.NewReader(stdin), &out, &errs, args))
	return result{code, out.String(), errs.String()}
}

func (h *house) environment(in io.Reader, out, errs io.Writer, args []string) cli.Environment {
	return cli.Environment{
		Args: append([]string{"latchkey"}, args...), Environ: h.environ, Account: "tester", Version: "test",
		Stdin: in, Stdout: out, Stderr: errs, ReadFile: os.ReadFile, Now: time.Now,
	}
}

// must runs a command that has to succeed, and returns its stdout.
func (h *house) must(args ...string) string {
	h.t.Helper()
	r := h.run(args...)
	if r.code != 0 {
		h.t.Fatalf("latchkey %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// decode runs a command that has to succeed, and reads its JSON.
func decode[T any](h *house, args ...string) (v T) {
	h.t.Helper()
	text := h.must(append(args, "--json")...)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		h.t.Fatalf("latchkey %s: %v in %q", strings.Join(args, " "), err, text)
	}
	return v
}

// buffer takes writes of several goroutines.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// server is a `latchkey serve` that is up.
type server struct {
	URL        string `json:"url"`
	OpsURL     string `json:"ops_url"`
	SetupToken string `json:"setup_token"`
	DataDir    string `json:"data_dir"`
	PostgreSQL string `json:"postgresql"`
	stderr     buffer
	stop       func()
}

// serve starts a server and waits until it says that it is up. It ends with the
// test, or with stop.
func (h *house) serve() *server {
	h.t.Helper()
	s := &server{}
	read, write := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, h.environment(strings.NewReader(""), write, &s.stderr, []string{"serve", "--json"}))
		_ = write.Close()
	}()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if code := <-ended; code != 0 {
			h.t.Errorf("serve: exit code %d\n%s", code, s.stderr.String())
		}
	})
	h.t.Cleanup(s.stop)
	line, err := bufio.NewReader(read).ReadBytes('\n')
	if err != nil {
		h.t.Fatalf("serve: %v\n%s", err, s.stderr.String())
	}
	if err := json.Unmarshal(line, s); err != nil {
		h.t.Fatalf("serve: %v in %q", err, line)
	}
	return s
}

// request asks the server and returns status and body.
func (s *server) request(t *testing.T, method, path, bearer, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, b
}

// golden compares a text with a file of testdata; LATCHKEY_TEST_GOLDEN=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("LATCHKEY_TEST_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is another (LATCHKEY_TEST_GOLDEN=1 writes it anew):\n%s", path, got)
	}
}

// listen takes a port for the time of the test.
func listen(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}
