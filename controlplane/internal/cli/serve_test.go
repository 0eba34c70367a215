package cli_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/cli"
	"github.com/latchkey/latchkey/controlplane/internal/pgserver"
)

const issueAdmin = `{"kind":"management","name":"admin","scopes":["*"]}`

var pasted = regexp.MustCompile(`curl -sS (http://127\.0\.0\.1:\d+)/api/v1/keys \\
    -H 'Authorization: Bearer (lks_[0-9A-Za-z]{38})' \\
    -H 'Content-Type: application/json' \\
    -d '(.*)'
`)

// up runs `latchkey serve` until its stdout matches, and then does something.
func (h *house) up(wanted *regexp.Regexp, then func(stdout string)) result {
	h.t.Helper()
	var out, errs buffer
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, h.environment(strings.NewReader(""), &out, &errs, []string{"serve"}))
	}()
	await(h.t, "serve is up", func() bool { return wanted.MatchString(out.String() + errs.String()) })
	then(out.String())
	cancel()
	return result{<-ended, out.String(), errs.String()}
}

// await polls until something is true.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not happen that %s", what)
		}
	}
}

func TestBannerMakesTheFirstKey(t *testing.T) {
	t.Parallel()
	h := furnish(t, "LOG_FORMAT=text")
	tryIt := regexp.MustCompile(`Try it, in another terminal here: latchkey try\n`)
	r := h.up(tryIt, func(stdout string) {
		for _, want := range []string{"Latchkey test is up.", "/docs\n", "/readyz", "Data directory", "PostgreSQL        external, "} {
			if !strings.Contains(stdout, want) {
				t.Errorf("the banner lacks %q:\n%s", want, stdout)
			}
		}
		found := pasted.FindStringSubmatch(stdout)
		if found == nil {
			t.Fatalf("the banner has no curl:\n%s", stdout)
		}
		s := &server{URL: found[1]}
		if status, body := s.request(t, http.MethodPost, "/api/v1/keys", found[2], found[3]); status != http.StatusCreated {
			t.Errorf("the curl of the banner: %d %s", status, body)
		}
	})
	if r.code != 0 || strings.Contains(r.stderr, "lks_") || !strings.Contains(r.stderr, "level=INFO") {
		t.Errorf("exit code %d; the log has the set-up token, or is no text:\n%s", r.code, r.stderr)
	}
	again := h.up(tryIt, func(string) {})
	if strings.Contains(again.stdout, "lks_") {
		t.Error("there is a set-up token after the set-up")
	}
}

func TestTheLogIsJSONWithoutTheToken(t *testing.T) {
	t.Parallel()
	h := furnish(t, "LOG_FORMAT=json")
	r := h.up(pasted, func(string) {})
	if strings.Contains(r.stderr, "lks_") || strings.Contains(r.stdout, "Data directory") || r.code != 0 {
		t.Errorf("exit code %d; the log has the token, or there is a banner beside it", r.code)
	}
	var messages []string
	for line := range strings.Lines(r.stderr) {
		var entry struct {
			Msg, URL, Docs, Ops string
			SetUp               *bool `json:"set_up"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		messages = append(messages, entry.Msg)
		if entry.Msg == "latchkey is up" && (entry.URL == "" || entry.Docs == "" || entry.Ops == "" || entry.SetUp == nil || *entry.SetUp) {
			t.Errorf("it does not say where everything is: %s", line)
		}
	}
	if all := strings.Join(messages, ","); !strings.Contains(all, "latchkey is up") || !strings.HasSuffix(all, "stopping") {
		t.Errorf("the log says %s", all)
	}
}

func TestServeNamesTheVariableOfATakenAddress(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	s := h.serve()
	h.environ = append(h.environ, "LATCHKEY_LISTEN="+strings.TrimPrefix(s.URL, "http://"))
	if r := h.run("serve"); r.code != 1 || !strings.Contains(r.stderr, "\nfix: set LATCHKEY_LISTEN to a free one\n") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
}

// private makes an installation on a PostgreSQL of its own. Its directory is one
// that the account of root's server reaches, which t.TempDir is not.
func private(t *testing.T) *house {
	t.Helper()
	if _, err := pgserver.Find(); err != nil {
		if os.Getenv("TEST_DATABASE_URL") != "" {
			t.Skip("needs PostgreSQL's programs on this machine") // the other tests run on a server elsewhere
		}
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "latchkey-cli-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return &house{t: t, environ: []string{
		"LATCHKEY_DATA_DIR=" + filepath.Join(dir, "data"), "LATCHKEY_LISTEN=127.0.0.1:0", "LATCHKEY_OPS_LISTEN=127.0.0.1:0", "AUTH_CACHE_MB=8",
	}}
}

func TestPrivatePostgreSQL(t *testing.T) {
	t.Parallel()
	h := private(t)
	began := time.Now()
	s := h.serve()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the first start took %s, more than 15 s", took)
	}
	if !strings.HasPrefix(s.PostgreSQL, "private, in "+s.DataDir) {
		t.Errorf("the database is %s", s.PostgreSQL)
	}
	key := decode[issued](h, "keys", "issue", "--name", "joined") // while the server runs: joined
	if status, body := s.request(t, http.MethodPost, "/v1/auth", "", `{"auth_key":"`+key.Secret+`"}`); status != http.StatusOK {
		t.Errorf("a key of a joined command: %d %s", status, body)
	}
	token := s.SetupToken
	s.stop()
	if list := h.must("keys", "list"); !strings.Contains(list, "joined") { // while none runs: started for its own duration
		t.Errorf("after the server's end:\n%s", list)
	}
	s = h.serve() // the second start finds its data
	if status, body := s.request(t, http.MethodPost, "/v1/auth", "", `{"auth_key":"`+key.Secret+`"}`); status != http.StatusOK {
		t.Errorf("after the second start: %d %s", status, body)
	}
	if status, _ := s.request(t, http.MethodPost, "/api/v1/keys", token, issueAdmin); status != http.StatusCreated {
		t.Errorf("the token of the first start: %d", status)
	}
	for _, name := range []string{"secret_key", "peppers"} {
		info, err := os.Stat(filepath.Join(s.DataDir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestTry(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	s := h.serve()
	tried(t, h, false, "--url", s.URL)
	tried(t, h, true) // nothing answers where the configuration lets it listen

	text := h.must("try", "--url", s.URL+"/")
	lines := regexp.MustCompile(`^1\. Issued a test key\..*

  curl -sS http://127\.0\.0\.1:\d+/v1/auth \\
    -H 'Content-Type: application/json' \\
    -d '\{"auth_key":"(lk_test_[0-9A-Za-z]{38})"\}'

2\. Asked it\. +200 VALID in \d+\.\d ms; asked again, now from the cache: \d+\.\d ms
3\. Revoked the key\. 401 REVOKED, \d+\.\d ms after the revocation

Any answer but 200 .*
$`)
	if !lines.MatchString(text) {
		t.Errorf("try says:\n%s", text)
	}
	for _, wrong := range []string{"nonsense", "127.0.0.1:8080", "ftp://127.0.0.1"} {
		if r := h.run("try", "--url", wrong); r.code != 1 || r.stderr != "latchkey: this is no address of a server\nfix: write --url http://127.0.0.1:8080\n" {
			t.Errorf("%s: exit code %d, stderr:\n%s", wrong, r.code, r.stderr)
		}
	}
	if r := h.run("try", "--url", "http://127.0.0.1:1"); r.code != 1 || !strings.HasPrefix(r.stderr, "latchkey: no Latchkey answers at http://127.0.0.1:1\n") {
		t.Errorf("nobody there: exit code %d\n%s", r.code, r.stderr)
	}
	for key := range strings.Lines(h.must("keys", "list")) {
		if !strings.HasPrefix(key, "ID ") && !strings.Contains(key, " revoked ") {
			t.Errorf("a good key is left: %s", key)
		}
	}
}

func tried(t *testing.T, h *house, started bool, args ...string) {
	t.Helper()
	type answer struct {
		Status       int
		Code         string
		Milliseconds float64
	}
	v := decode[struct {
		URL                      string
		Started                  bool
		Key                      map[string]any
		Secret                   string
		Accepted, Again, Refused answer
	}](h, append([]string{"try"}, args...)...)
	if v.Started != started || v.Accepted.Status != 200 || v.Again.Code != "VALID" || v.Refused.Status != 401 || v.Refused.Code != "REVOKED" {
		t.Errorf("try found %+v", v)
	}
	if v.Refused.Milliseconds <= 0 || v.Refused.Milliseconds > 5000 {
		t.Errorf("the refusal came after %.1f ms", v.Refused.Milliseconds)
	}
}

// TestTryOnAnotherDatabase: the key that was issued here is unknown there, and
// is not left behind.
func TestTryOnAnotherDatabase(t *testing.T) {
	t.Parallel()
	here, there := furnish(t), furnish(t)
	r := here.run("try", "--url", there.serve().URL)
	if r.code != 1 || !strings.Contains(r.stderr, "answers 401 KEY_NOT_FOUND to a key that was just issued\nfix: let DATABASE_URL") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	if list := here.must("keys", "list"); strings.Count(list, " revoked ") != 1 || strings.Contains(list, " active ") {
		t.Errorf("a good key is left:\n%s", list)
	}
}
