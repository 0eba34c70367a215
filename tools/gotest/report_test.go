package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun runs gotest on small modules of its own.
func TestRun(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=mod")
	for name, row := range map[string]struct {
		body string
		all  bool
		code int
		last string
		says []string
		not  []string
	}{
		"all pass": {
			body: "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) { t.Run(`x`, TestA); t.Run(`y`, TestA); println(`quiet`) }",
			last: "3 passed, 0 failed", not: []string{"quiet"},
		},
		"one fails": {
			body: "func TestA(t *testing.T) { t.Log(`quiet`) }\nfunc TestB(t *testing.T) { t.Run(`x`, func(t *testing.T) { t.Error(`because`) }); t.Run(`y`, TestA) }",
			code: 1, last: "2 passed, 1 failed", says: []string{"because", "FAIL  sample"},
		},
		"a parent fails by itself": {
			body: "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) { t.Run(`x`, TestA); t.Error(`parent`) }",
			code: 1, last: "2 passed, 1 failed", says: []string{"parent"},
		},
		"panic": {
			body: "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) { panic(`out of hand`) }",
			code: 1, last: "1 passed, 1 failed", says: []string{"out of hand"},
		},
		"does not build": {
			body: "func TestA(t *testing.T) { undefinedThing() }",
			code: 1, last: "0 passed, 1 failed", says: []string{"undefined: undefinedThing"},
		},
		"the process ends early": {
			body: "func TestMain(m *testing.M) { m.Run(); println(`cannot stop`); os.Exit(3) }\nfunc TestA(t *testing.T) { _ = os.Args }",
			code: 1, last: "1 passed, 1 failed", says: []string{"cannot stop"},
		},
		"left out": {
			body: "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) { t.Skip(`needs kong`) }",
			last: "1 passed, 0 failed, 1 left out: sample.TestB (needs kong)",
		},
		"left out where all must run": {
			body: "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) { t.Skip(`needs kong`) }",
			all:  true, code: 1, last: "1 passed, 1 failed", says: []string{"FAIL  sample.TestB (needs kong)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			imports := "import \"testing\"\n"
			if strings.Contains(row.body, "os.") {
				imports += "import \"os\"\n"
			}
			write(t, filepath.Join(dir, "go.mod"), "module sample\n\ngo 1.26\n")
			write(t, filepath.Join(dir, "a_test.go"), "package sample\n"+imports+row.body)
			t.Chdir(dir)
			var out strings.Builder
			code, err := run(context.Background(), []string{"./..."}, &out, row.all)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; code != row.code || last != row.last {
				t.Errorf("code %d, last line %q, of\n%s", code, last, out.String())
			}
			for _, text := range row.says {
				if !strings.Contains(out.String(), text) {
					t.Errorf("does not say %q:\n%s", text, out.String())
				}
			}
			for _, text := range row.not {
				if strings.Contains(out.String(), text) {
					t.Errorf("says %q:\n%s", text, out.String())
				}
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
