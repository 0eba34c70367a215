package pgserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fake makes a directory that looks like an installation of the version.
func fake(t *testing.T, dir, version string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + " (Debian)'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSearch(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, version := range []string{"9.6", "14.2", "17.1", "16.0"} {
		major, _, _ := strings.Cut(version, ".")
		fake(t, filepath.Join(root, "lib", major, "bin"), version)
	}
	onPath := fake(t, filepath.Join(root, "path"), "15.4")
	if err := os.Mkdir(filepath.Join(root, "links"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "links", "postgres")
	if err := os.Symlink(filepath.Join(onPath, "postgres"), link); err != nil {
		t.Fatal(err)
	}
	path := strings.Join([]string{"relative", root, filepath.Dir(link), onPath}, string(os.PathListSeparator))
	found, err := search(path, []string{filepath.Join(root, "lib/*/bin"), filepath.Join(root, "none")})
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Dir(onPath) + "/lib/"
	want := Binaries{
		{onPath, 15}, {lib + "17/bin", 17}, {lib + "16/bin", 16}, {lib + "14/bin", 14},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	if got := found.forFiles(16); len(got) != 1 || got[0].Major != 16 {
		t.Errorf("for files of 16: %v", got)
	}
}

func TestNothingFound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	old := fake(t, filepath.Join(root, "12/bin"), "12.22")
	_, err := search("/none/on/path", []string{filepath.Join(root, "*/bin"), "/nowhere/bin"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{
		"LATCHKEY_PG_BIN", "PATH", root + "/*/bin", "/nowhere/bin", old + ": is PostgreSQL 12, older than 14",
		"apt-get install postgresql", "brew install postgresql", "make postgres", "DATABASE_URL",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %q:\n%v", part, err)
		}
	}
}

func TestNamedPlaceIsTheOnlyOne(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LATCHKEY_PG_BIN", dir)
	if _, err := Find(); err == nil || !strings.Contains(err.Error(), "LATCHKEY_PG_BIN="+dir) {
		t.Errorf("error %v", err)
	}
	named := fake(t, dir, "17.1")
	found, err := Find()
	if diff := cmp.Diff(Binaries{{named, 17}}, found); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestFilesOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := site{files: filepath.Join(dir, "postgres"), account: ownAccount()}
	if err := os.MkdirAll(s.files, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.files, "PG_VERSION"), []byte("16\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.choose(Binaries{{"/opt/17/bin", 17}})
	if err == nil || !strings.Contains(err.Error(), "are of PostgreSQL 16, and this machine has 17 in /opt/17/bin") {
		t.Errorf("error %v", err)
	}
	chosen, err := s.choose(Binaries{{"/opt/17/bin", 17}, {"/opt/16/bin", 16}})
	if err != nil || chosen.Major != 16 {
		t.Errorf("chose %v, %v", chosen, err)
	}
}
