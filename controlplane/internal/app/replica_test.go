package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/config"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(beReplica); dsn != "" {
		serveUntilKilled(dsn)
	}
	pgtest.Run(m)
}

// replica is one whole control plane on free ports, in this process.
type replica struct {
	t    testing.TB
	app  *app.App
	url  string
	logs *logBook
	stop func()
}

// logBook keeps every log line.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// environment is what a replica is configured with; later ones win.
func environment(dsn string, more ...string) []string {
	return append([]string{
		"DATABASE_URL=" + dsn, "LATCHKEY_LISTEN=127.0.0.1:0", "LATCHKEY_OPS_LISTEN=127.0.0.1:0", "AUTH_CACHE_MB=8",
		"SECRET_KEY=" + strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 2),
		"LATCHKEY_PEPPERS=p1:0123456789abcdefghijklmnopqrstuvwxyz",
		// Tests send many unknown keys from one address.
		"LATCHKEY_MISS_BUDGET=1000000/s,1000000",
	}, more...)
}

// start boots a replica and stops it when the test ends.
func start(t testing.TB, dsn string, more ...string) *replica {
	t.Helper()
	return startAt(t, dsn, time.Now, more...)
}

// startAt boots a replica that lives by the test's clock.
func startAt(t testing.TB, dsn string, now func() time.Time, more ...string) *replica {
	t.Helper()
	r := &replica{t: t, logs: new(logBook)}
	cfg, err := config.Load(environment(dsn, more...), func(string) ([]byte, error) { return nil, io.EOF })
	if err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = t.TempDir()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.app, err = app.New(ctx, app.Options{
		Config: cfg, Version: "test", Now: now, Notice: func(s string) { t.Log(s) },
		Log: slog.New(slog.NewJSONHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	r.url = "http://" + r.app.Addr()
	done := make(chan error, 1)
	go func() { done <- r.app.Run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
			if err := r.app.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	t.Cleanup(r.stop)
	return r
}

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// code is the code of a verdict or problem.
func (a answer) code() string {
	s, _ := a.body["code"].(string)
	return s
}

// get walks into the body.
func (a answer) get(path ...string) any {
	var v any = a.body
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func (a answer) text(path ...string) string {
	s, _ := a.get(path...).(string)
	return s
}

var client = &http.Client{
	Timeout:   20 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64, ResponseHeaderTimeout: 20 * time.Second},
}

// send sends raw bytes; headers come as name, value, name, value.
func (r *replica) send(method, path, body string, headers ...string) answer {
	r.t.Helper()
	a, err := r.try(method, path, body, headers...)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (r *replica) try(method, path, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, header: res.Header, raw: string(b)}
	_ = json.Unmarshal(b, &a.body) // not every answer is JSON
	return a, nil
}

// call sends JSON under a management key and expects a status.
func (r *replica) call(token, method, path string, body any, status int) answer {
	r.t.Helper()
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(b)
	}
	a := r.send(method, path, text, "Authorization", "Bearer "+token)
	if a.status != status {
		r.t.Fatalf("%s %s: status %d, want %d: %s\n%s", method, path, a.status, status, a.raw, r.lastFailure())
	}
	return a
}

// lastFailure is the last log line above info, for messages.
func (r *replica) lastFailure() (line string) {
	if r.logs == nil {
		return ""
	}
	for l := range strings.SplitSeq(r.logs.String(), "\n") {
		if strings.Contains(l, `"level":"ERROR"`) {
			line = l
		}
	}
	return line
}

// auth asks the door about a key.
func (r *replica) auth(key string, more ...any) answer {
	r.t.Helper()
	body := map[string]any{"auth_key": key}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	b, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.send(http.MethodPost, "/v1/auth", string(b))
}

// expect fails the test unless the door answers so.
func (r *replica) expect(a answer, status int, code string) {
	r.t.Helper()
	if a.status != status || a.code() != code {
		r.t.Errorf("the door answered %d %s, want %d %s: %s", a.status, a.code(), status, code, a.raw)
	}
}

// setUpToken is that of a replica which is not set up.
func (r *replica) setUpToken() string {
	r.t.Helper()
	token, ok, err := r.app.Bootstrap.Token(r.t.Context())
	if err != nil || !ok {
		r.t.Fatalf("set-up token: %v %v", ok, err)
	}
	return token.Reveal()
}

// admin makes the first management key by the set-up token.
func (r *replica) admin() string {
	r.t.Helper()
	a := r.call(r.setUpToken(), http.MethodPost, "/api/v1/keys", map[string]any{"kind": "management", "name": "admin", "scopes": []string{"*"}}, http.StatusCreated)
	return a.text("secret")
}

// eventually polls until ok, and fails after 20 seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
