package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/cli"
)

type issued struct {
	Key    map[string]any `json:"key"`
	Secret string         `json:"secret"`
}

var apiSecret = regexp.MustCompile(`^lk_live_[0-9A-Za-z]{38}\n$`)

func TestIssuePrintsTheSecretOnce(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	r := h.run("keys", "issue", "--name", "ci", "--scope", "reports:read")
	if r.code != 0 || !apiSecret.MatchString(r.stdout) {
		t.Fatalf("exit code %d, %d bytes on stdout, stderr:\n%s", r.code, len(r.stdout), r.stderr)
	}
	if secret := strings.TrimSpace(r.stdout); strings.Contains(r.stderr, secret) || !strings.Contains(r.stderr, `"ci"`) {
		t.Errorf("stderr is not about the key, or has its secret")
	}
	if list := h.must("keys", "list"); strings.Contains(list, strings.TrimSpace(r.stdout)) {
		t.Error("keys list shows a secret")
	}
	asJSON := h.run("keys", "issue", "--name", "ci", "--json")
	var v issued
	if err := json.Unmarshal([]byte(asJSON.stdout), &v); err != nil || asJSON.stderr != "" || strings.Count(asJSON.stdout, v.Secret) != 1 {
		t.Errorf("with --json: %v, stderr %q", err, asJSON.stderr)
	}
}

// TestIssueToNowhere: a secret that could not be handed over is no success.
func TestIssueToNowhere(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	var errs buffer
	code := cli.Run(t.Context(), h.environment(strings.NewReader(""), broken{}, &errs, []string{"keys", "issue", "--name", "ci"}))
	if code != 1 || !strings.Contains(errs.String(), "the disk is full") {
		t.Errorf("exit code %d, %s", code, errs.String())
	}
}

func TestKeysAreTheOnesOfTheAPI(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	s := h.serve()
	admin := decode[issued](h, "keys", "issue", "--name", "admin", "--management", "--scope", "*")
	status, body := s.request(t, http.MethodPost, "/api/v1/plans", admin.Secret, `{"slug":"pro","name":"Pro","scopes":["reports:*"]}`)
	if status != http.StatusCreated {
		t.Fatalf("plan: %d %s", status, body)
	}
	user := decode[map[string]any](h, "users", "create", "--name", "Ada", "--username", "ada", "--email", "ada@example.com", "--external-id", "c-1")
	same(t, s, admin.Secret, fmt.Sprint("/api/v1/users/", user["id"]), user)

	key := decode[issued](h, "keys", "issue", "--name", "ci", "--owner", "ada", "--plan", "pro", "--env", "test",
		"--scope", "reports:read", "--scope", "reports:write", "--tag", "team/a", "--allow-cidr", "203.0.113.7", "--expires-in-days", "3")
	path := fmt.Sprint("/api/v1/keys/", key.Key["id"])
	same(t, s, admin.Secret, path, key.Key)
	same(t, s, admin.Secret, fmt.Sprint("/api/v1/keys/", admin.Key["id"]), admin.Key)
	same(t, s, admin.Secret, "/api/v1/keys", decode[map[string]any](h, "keys", "list"))
	same(t, s, admin.Secret, "/api/v1/keys?kind=management", decode[map[string]any](h, "keys", "list", "--kind", "management"))
	same(t, s, admin.Secret, "/api/v1/keys?plan=pro", decode[map[string]any](h, "keys", "list", "--plan", "pro", "--owner", "ada"))
	same(t, s, admin.Secret, "/api/v1/users", decode[map[string]any](h, "users", "list"))

	revoked := decode[map[string]any](h, "keys", "revoke", fmt.Sprint(key.Key["id"]), "--reason", "key_compromise")
	same(t, s, admin.Secret, path, revoked)
	if revoked["status"] != "revoked" || revoked["revoke_reason"] != "key_compromise" {
		t.Errorf("revoked: %v", revoked)
	}
	if again := decode[map[string]any](h, "keys", "revoke", fmt.Sprint(key.Key["id"])); !cmp.Equal(again, revoked) {
		t.Errorf("revoked again: %s", cmp.Diff(revoked, again))
	}
}

// same compares what a command printed with what the API answers, but for when
// keys were last used: that is written when it suits, between the two maybe.
func same(t *testing.T, s *server, bearer, path string, printed map[string]any) {
	t.Helper()
	status, body := s.request(t, http.MethodGet, path, bearer, "")
	var answered map[string]any
	if err := json.Unmarshal(body, &answered); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d, %v", path, status, err)
	}
	uses := cmp.FilterPath(func(p cmp.Path) bool {
		member, ok := p.Last().(cmp.MapIndex)
		return ok && strings.HasPrefix(member.Key().String(), "last_used_")
	}, cmp.Ignore())
	if diff := cmp.Diff(answered, printed, uses); diff != "" {
		t.Errorf("%s: the API answers -, the command prints +\n%s", path, diff)
	}
}

func TestKeysForPeople(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	if empty := h.must("keys", "list"); !strings.Contains(empty, "There are no keys here yet") {
		t.Errorf("no keys: %q", empty)
	}
	if none := h.must("keys", "list", "--plan", "gold"); !strings.Contains(none, "There are no such keys.") {
		t.Errorf("no keys under a plan: %q", none)
	}
	if empty := h.must("keys", "list", "--json"); empty != "{\n  \"data\": [],\n  \"next_cursor\": null\n}\n" {
		t.Errorf("no keys, with --json: %q", empty)
	}
	key := decode[issued](h, "keys", "issue", "--name", "ci")
	said := h.must("keys", "revoke", fmt.Sprint(key.Key["id"]))
	if !strings.HasPrefix(said, fmt.Sprintf("Revoked %s, \"ci\", at ", key.Key["id"])) {
		t.Errorf("revoke says %q", said)
	}
	lines := strings.Split(h.must("keys", "list"), "\n")
	want := fmt.Sprintf("%s  revoked        live        %s…%s  never       never       ci", key.Key["id"], key.Key["start"], key.Key["last4"])
	if len(lines) != 3 || strings.Join(strings.Fields(lines[1]), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("list:\n%s\nwant:\n%s", strings.Join(lines, "\n"), want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no such key":      {[]string{"keys", "revoke", "key_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"}, "latchkey: there is no key with this id\nfix: find it with: latchkey keys list\n"},
		"no such owner":    {[]string{"keys", "issue", "--name", "x", "--owner", "bob"}, "latchkey: there is no user with this id or username\nfix: find one with: latchkey users list\n"},
		"no such plan":     {[]string{"keys", "issue", "--name", "x", "--plan", "gold"}, "latchkey: 1 value is not acceptable:\n  --plan: there is no plan with this slug\n"},
		"no such scope":    {[]string{"keys", "issue", "--name", "x", "--scope", "A B", "--scope", "C D"}, "latchkey: 2 values are not acceptable:\n  --scope: "},
		"management scope": {[]string{"keys", "issue", "--name", "x", "--management"}, "latchkey: 1 value is not acceptable:\n  --scope: a management key needs at least one of "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := h.run(test.args...)
			if r.code != 1 || r.stdout != "" || !strings.HasPrefix(r.stderr, test.want) {
				t.Errorf("exit code %d, stdout %q, stderr:\n%s", r.code, r.stdout, r.stderr)
			}
		})
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	h := furnish(t)
	const password = "correct horse battery staple"
	created := h.feed(password+"\n", "users", "create", "--name", "Ada", "--username", "ada", "--role", "owner", "--password")
	if created.code != 0 || !strings.HasPrefix(created.stdout, "Created usr_") {
		t.Fatalf("exit code %d\n%s%s", created.code, created.stdout, created.stderr)
	}
	set := h.feed("another "+password, "users", "set-password", "ada")
	if set.code != 0 || !strings.HasPrefix(set.stdout, "The password of usr_") {
		t.Errorf("exit code %d\n%s%s", set.code, set.stdout, set.stderr)
	}
	for _, r := range []result{created, set} {
		if all := r.stdout + r.stderr; strings.Contains(all, "horse") || strings.Contains(all, "argon2id") {
			t.Errorf("a password or its hash is printed:\n%s", all)
		}
	}
	if r := h.run("users", "create", "--name", "Bob", "--username", "ada"); r.code != 1 || r.stderr != "latchkey: another user has this username\n" {
		t.Errorf("taken: exit code %d, %s", r.code, r.stderr)
	}
	if owners := h.must("users", "list", "--role", "owner"); strings.Count(owners, "\n") != 2 || !strings.Contains(owners, "Ada") {
		t.Errorf("owners:\n%s", owners)
	}
	if r := h.feed(password, "users", "set-password", "bob"); r.code != 1 {
		t.Errorf("no such user: exit code %d", r.code)
	}
}
