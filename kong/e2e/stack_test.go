//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

const route = "http://127.0.0.1:8000/echo"

// compose runs docker compose on the project and returns what it prints.
func compose(ctx context.Context, t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(ctx, "docker", append([]string{"compose", "-p", "latchkey-e2e"}, args...)...)
	cmd.Dir = "../.."
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		t.Fatalf("docker compose %v: %v\n%s%s", args, err, out.Bytes(), problem.Bytes())
	}
	return out.Bytes()
}

// start brings the stack up, and takes it down at the test's end.
func start(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if t.Failed() {
			t.Logf("%s", compose(ctx, t, "logs", "--no-color", "--tail", "100"))
		}
		compose(ctx, t, "down", "--volumes", "--remove-orphans")
	})
	compose(t.Context(), t, "up", "--build", "--wait", "--wait-timeout", "300")
}

// key is what `keys issue --json` prints.
type key struct {
	Key    struct{ ID string }
	Secret string
}

func issue(t *testing.T, scope string) (k key) {
	t.Helper()
	out := compose(t.Context(), t, "exec", "-T", "control-plane", "latchkey", "keys", "issue", "--json", "--name", "e2e", "--scope", scope)
	if err := json.Unmarshal(out, &k); err != nil || k.Secret == "" {
		t.Fatalf("keys issue printed no key: %v", err)
	}
	return k
}

// answer is the refusal of a gateway, or what the echo was sent.
type answer struct {
	status  int
	Code    string
	Headers http.Header
}

// ask sends a request with these headers through Kong.
func ask(t *testing.T, header http.Header) (a answer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, route, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		t.Fatalf("%s is not answered with JSON: %v", response.Status, err)
	}
	a.status = response.StatusCode
	return a
}

// await asks until the answer is the wanted one.
func await(t *testing.T, header http.Header, status int, within time.Duration) answer {
	t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		a := ask(t, header)
		if a.status == status {
			return a
		}
		if time.Now().After(end) {
			t.Fatalf("%d %s after %v, want %d", a.status, a.Code, within, status)
		}
	}
}

func with(secret string) http.Header { return http.Header{"X-Api-Key": {secret}} }

// The stack of docker-compose.yml, started as a project of its own and taken down
// again with everything that it made: whether images, kong.yml and
// docker-compose.yml fit together. What can be asked of the plugin is in cases.
func TestStack(t *testing.T) {
	start(t)
	good, other := issue(t, "echo:read"), issue(t, "something:else")
	// The plugin may still be on its way to the control plane.
	await(t, with(good.Secret), http.StatusOK, 30*time.Second)

	t.Run("the policy of kong.yml", func(t *testing.T) {
		if a := ask(t, http.Header{}); a.status != http.StatusUnauthorized || a.Code != apikey.MissingCredential.String() {
			t.Errorf("no key: %d %s", a.status, a.Code)
		}
		if a := ask(t, with(other.Secret)); a.status != http.StatusForbidden || a.Code != apikey.InsufficientScope.String() {
			t.Errorf("another scope: %d %s", a.status, a.Code)
		}
		a := ask(t, with(good.Secret))
		if a.status != http.StatusOK || a.Headers.Get("X-Credential-Identifier") != good.Key.ID || a.Headers.Get("X-Api-Key") != "" {
			t.Errorf("a good key: %d, the upstream sees %v", a.status, a.Headers)
		}
	})
	t.Run("revoked", func(t *testing.T) {
		revoked := issue(t, "echo:read")
		await(t, with(revoked.Secret), http.StatusOK, 5*time.Second)
		compose(t.Context(), t, "exec", "-T", "control-plane", "latchkey", "keys", "revoke", revoked.Key.ID)
		if a := await(t, with(revoked.Secret), http.StatusUnauthorized, 2*time.Second); a.Code != apikey.Revoked.String() {
			t.Errorf("refused with %s", a.Code)
		}
	})
	t.Run("control plane away", func(t *testing.T) {
		unheard := issue(t, "echo:read")
		compose(t.Context(), t, "stop", "control-plane")
		if a := ask(t, with(good.Secret)); a.status != http.StatusOK {
			t.Errorf("a cached key: %d %s", a.status, a.Code)
		}
		if a := ask(t, with(unheard.Secret)); a.status != http.StatusServiceUnavailable || a.Code != apikey.Undecided.String() {
			t.Errorf("a key that was never asked about: %d %s", a.status, a.Code)
		}
		compose(t.Context(), t, "start", "control-plane")
		await(t, with(unheard.Secret), http.StatusOK, time.Minute)
	})
}
