package kongtest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var builds sync.Map // what was built by this process: directory -> func() (string, error)

// Build compiles the main package at pkgPath (as `go build` names it, from the
// test's directory) into a binary called name, once per process, and returns its
// path. Kong takes the plugin's name from the file's.
func Build(t testing.TB, pkgPath, name string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	// One place per package: later runs replace the file, nothing piles up.
	key := sha256.Sum256([]byte(here + "\x00" + pkgPath))
	dir := filepath.Join(cache, "latchkey-kongtest", fmt.Sprintf("%x", key[:8]))
	once, _ := builds.LoadOrStore(filepath.Join(dir, name), sync.OnceValues(func() (string, error) {
		return compile(dir, pkgPath, name)
	}))
	binary, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// compile replaces the file in one step: another test process may be running it.
func compile(dir, pkgPath, name string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	fresh := filepath.Join(dir, fmt.Sprintf("%s.%d", name, os.Getpid()))
	out, err := exec.Command("go", "build", "-o", fresh, pkgPath).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkgPath, err, out)
	}
	binary := filepath.Join(dir, name)
	return binary, os.Rename(fresh, binary)
}
