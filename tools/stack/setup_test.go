package stack

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// setup runs kong/setup.sh with a latchkey of the test's own.
func setup(t *testing.T, latchkey string, args ...string) error {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "latchkey"), []byte("#!/bin/sh\n"+latchkey+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{filepath.Join(top, "kong/setup.sh")}, args...)...)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	return err
}

// content returns what a directory holds, by name.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

func TestSetupMakesSecretsOnce(t *testing.T) {
	t.Parallel()
	database, control := t.TempDir(), t.TempDir()
	for range 2 { // the second start finds everything there
		before := content(t, control)
		if err := setup(t, "exit 1", "secrets", database, control); err != nil {
			t.Fatal(err)
		}
		for name, value := range before {
			if content(t, control)[name] != value {
				t.Errorf("%s was made anew: every key that it was made with is lost", name)
			}
		}
	}
	password := strings.TrimSpace(content(t, database)["password"])
	if !regexp.MustCompile(`^[0-9a-f]{48}$`).MatchString(password) {
		t.Error("the password is not 24 random bytes")
	}
	want := map[string]string{
		"database_url": "^postgres://latchkey:" + password + `@postgres:5432/latchkey\?sslmode=disable\n$`,
		"secret_key":   `^[0-9a-f]{128}\n$`,
		"peppers":      `^p1:[0-9a-f]{64}\n$`,
	}
	got := content(t, control)
	for name, form := range want {
		if !regexp.MustCompile(form).MatchString(got[name]) {
			t.Errorf("%s has another form", name)
		}
	}
	if len(got) != len(want) || len(content(t, database)) != 1 {
		t.Error("setup leaves more behind than secrets")
	}
	readable(t, filepath.Join(control, "peppers"))
}

// readable checks that a service that is not root may read, and none may write.
func readable(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o444 {
		t.Errorf("%s has mode %v", path, info.Mode())
	}
}

// The database that the secrets name is the one that the stack has.
func TestSetupKnowsTheDatabase(t *testing.T) {
	t.Parallel()
	postgres := project(t).Services["postgres"].Environment
	for _, name := range []string{"POSTGRES_USER", "POSTGRES_DB"} {
		if *postgres[name] != "latchkey" {
			t.Errorf("%s=%s", name, *postgres[name])
		}
	}
}

func TestSetupIssuesTheEdgeTokenOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const issue = `test "$1 $2 $3 $4 $5" = "keys issue --management --scope edge:connect" && echo lkm_secret`
	if err := setup(t, issue, "edge-token", dir); err != nil {
		t.Fatal(err)
	}
	if err := setup(t, "exit 1", "edge-token", dir); err != nil {
		t.Error("a token that is there is issued again")
	}
	if got := content(t, dir); len(got) != 1 || got["token"] != "lkm_secret\n" {
		t.Errorf("%q", got)
	}
	readable(t, filepath.Join(dir, "token"))
}

func TestSetupFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, latchkey := range map[string]string{"an error": "echo half; exit 1", "no answer": "exit 0"} {
		if err := setup(t, latchkey, "edge-token", dir); err == nil {
			t.Errorf("%s: setup went well", name)
		}
	}
	if got := content(t, dir); len(got) != 0 {
		t.Errorf("a failed issue leaves %q", got)
	}
	if err := setup(t, "exit 1", "nonsense"); err == nil {
		t.Error("nonsense is understood")
	}
}
