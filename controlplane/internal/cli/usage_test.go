package cli_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bare is an installation without any configuration or database.
func bare(t *testing.T) *house { return &house{t: t} }

func TestHelp(t *testing.T) {
	t.Parallel()
	h := bare(t)
	golden(t, "help.golden", h.must("--help"))
	golden(t, "keys-issue-help.golden", h.must("keys", "issue", "--help"))
	if none := h.must(); none != h.must("--help") {
		t.Errorf("without arguments there is no help but:\n%s", none)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	key := "lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no such command":      {[]string{"frob"}, "latchkey: unexpected argument frob\nfix: see latchkey --help\n"},
		"half a command":       {[]string{"keys"}, "latchkey: expected one of \"issue\", \"list\", \"revoke\"\nfix: see latchkey keys --help\n"},
		"flag is missing":      {[]string{"keys", "issue"}, "latchkey: missing flags: --name=NAME\nfix: see latchkey keys issue --help\n"},
		"no such flag":         {[]string{"version", "--frob"}, "latchkey: unknown flag --frob\nfix: see latchkey version --help\n"},
		"not an id":            {[]string{"keys", "revoke", "ci"}, "latchkey: <key-id>: this id starts with key_ and goes on with 32 hexadecimal digits\nfix: see latchkey keys revoke --help\n"},
		"a key for its id":     {[]string{"keys", "revoke", key}, "latchkey: <key-id>: this id starts with key_ and goes on with 32 hexadecimal digits\nfix: see latchkey keys revoke --help\n"},
		"a key somewhere else": {[]string{"keys", "list", key}, "latchkey: unexpected argument (a key)\nfix: see latchkey keys list --help\n"},
		"a key for no days":    {[]string{"keys", "issue", "--name", "x", "--expires-in-days", "0"}, "latchkey: --expires-in-days: want whole days from 1 to 36500\nfix: see latchkey keys issue --help\n"},
		"no such environment":  {[]string{"keys", "issue", "--name", "x", "--env", "prod"}, "latchkey: --env must be one of \"live\",\"test\" but got \"prod\"\nfix: see latchkey keys issue --help\n"},
		"an empty bound":       {[]string{"keys", "issue", "--name", "x", "--allow-cidr", ""}, "latchkey: --allow-cidr: want a value; leave it out where there is none\nfix: see latchkey keys issue --help\n"},
		"an empty list":        {[]string{"keys", "issue", "--name", "x", "--tag", "a", "--scope="}, "latchkey: --scope: want a value; leave it out where there is none\nfix: see latchkey keys issue --help\n"},
		"an empty condition":   {[]string{"keys", "list", "--owner="}, "latchkey: --owner: want a value; leave it out where there is none\nfix: see latchkey keys list --help\n"},
		"not a network":        {[]string{"keys", "issue", "--name", "x", "--allow-cidr", "home"}, "latchkey: --allow-cidr: want a network such as 203.0.113.0/24 or 2001:db8::/32\nfix: see latchkey keys issue --help\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := bare(t).run(test.args...)
			if r.code != 2 || r.stdout != "" || r.stderr != test.want {
				t.Errorf("exit code %d, stdout %q, stderr:\n%s", r.code, r.stdout, r.stderr)
			}
			r = bare(t).run(append(test.args, "--json")...)
			var failure struct{ Code, Detail, Fix string }
			if err := json.Unmarshal([]byte(r.stderr), &failure); err != nil || r.code != 2 || failure.Code != "USAGE" {
				t.Errorf("with --json: exit code %d, %v, stderr:\n%s", r.code, err, r.stderr)
			}
			if text := "latchkey: " + failure.Detail + "\nfix: " + failure.Fix + "\n"; text != test.want {
				t.Errorf("with --json: %s", cmp.Diff(test.want, text))
			}
		})
	}
}

func TestConfigurationFaultsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	h := bare(t)
	h.environ = []string{"LATCHKEY_LISTEN=hunter2-secret", "AUTH_CACHE_MB=many", "LATCHKEY_ENV=production", "DATABASE_URL=hunter2-secret"}
	for _, command := range [][]string{{"serve"}, {"keys", "list"}, {"migrate"}, {"try"}, {"dev", "seed"}} {
		r := h.run(command...)
		if r.code != 1 || r.stdout != "" {
			t.Errorf("%v: exit code %d, stdout %q", command, r.code, r.stdout)
		}
		for _, variable := range []string{"LATCHKEY_LISTEN: want ", "AUTH_CACHE_MB: want ", "DATABASE_URL: want ", "SECRET_KEY: want ", "LATCHKEY_PEPPERS: want "} {
			if strings.Count(r.stderr, "  "+variable) != 1 {
				t.Errorf("%v does not tell once what %q:\n%s", command, variable, r.stderr)
			}
		}
		if strings.Contains(r.stderr, "hunter2") {
			t.Errorf("%v repeats a value:\n%s", command, r.stderr)
		}
	}
	r := h.run("serve", "--json")
	var failure struct {
		Code   string
		Errors []struct{ Location, Message string }
	}
	if err := json.Unmarshal([]byte(r.stderr), &failure); err != nil || failure.Code != "INVALID_VALUE" || len(failure.Errors) != 5 {
		t.Errorf("with --json: %v\n%s", err, r.stderr)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	v := decode[map[string]string](bare(t), "version")
	if v["version"] != "test" || !strings.HasPrefix(v["go"], "go1.") || len(v) != 3 {
		t.Errorf("version is %v", v)
	}
	if text := bare(t).must("version"); !strings.HasPrefix(text, "latchkey test (go1.") {
		t.Errorf("version says %q", text)
	}
}

func TestOpenAPINeedsNothing(t *testing.T) {
	t.Parallel()
	h := bare(t)
	h.environ = []string{"LATCHKEY_ENV=nonsense"}
	document := decode[struct {
		OpenAPI string
		Info    struct{ Version string }
		Paths   map[string]any
	}](h, "openapi")
	if document.OpenAPI == "" || document.Info.Version != "1" || document.Paths["/v1/auth"] == nil || document.Paths["/api/v1/keys"] == nil {
		t.Errorf("the document has version %q and %d paths", document.Info.Version, len(document.Paths))
	}
	if text := h.must("openapi"); !strings.Contains(text, "\nopenapi: ") {
		t.Error("without --json it is no YAML")
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	h := bare(t)
	const password = "correct horse battery staple"
	r := h.feed(password+"\n", "hash-password")
	if r.code != 0 || !strings.HasPrefix(r.stdout, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("exit code %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	r = h.feed("short", "hash-password", "--json")
	var failure struct{ Code, Detail string }
	if err := json.Unmarshal([]byte(r.stderr), &failure); err != nil || r.code != 1 || failure.Detail != "a password has 8 to 1024 bytes" {
		t.Errorf("too short: exit code %d, %s", r.code, r.stderr)
	}
	if r := h.feed(strings.Repeat("x", 1<<20), "hash-password"); r.code != 1 {
		t.Errorf("too long: exit code %d", r.code)
	}
	if r := h.run("hash-password", "--password-file", "/there/is/none"); r.code != 1 || !strings.Contains(r.stderr, "the file of the password cannot be read") {
		t.Errorf("no file: exit code %d, %s", r.code, r.stderr)
	}
	if r := h.run("hash-password", password); r.code != 2 {
		t.Errorf("as an argument: exit code %d, %s", r.code, r.stderr)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }
