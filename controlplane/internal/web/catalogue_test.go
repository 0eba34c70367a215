package web

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/shared/apikey"
)

// codeInSource finds the places where a domain names a code of its own.
var codeInSource = regexp.MustCompile(`(?:fault\.Code = |fault\.Code\(|WithCode\(|Code[A-Za-z]* +Code = )"([A-Z_]+)"`)

func TestEveryCodeHasAnEntry(t *testing.T) {
	t.Parallel()
	for _, c := range apikey.Codes() {
		if e, ok := Lookup(Code(c.String())); c != apikey.Valid && (!ok || e.Status != c.Status()) {
			t.Errorf("verdict %s has no entry with its status", c)
		}
	}
	found := 0
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "cli/") { // the command line answers no request
			return err
		}
		source, err := os.ReadFile("../" + path)
		for _, match := range codeInSource.FindAllStringSubmatch(string(source), -1) {
			found++
			if _, ok := Lookup(Code(match[1])); !ok {
				t.Errorf("%s: the code %s has no entry in the catalogue", path, match[1])
			}
		}
		return err
	})
	if err != nil || found < 16 { // the faults' and HTTP's own
		t.Fatalf("found %d codes in the source: %v", found, err)
	}
}

func TestEntriesAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range Catalogue() {
		if seen[e.Slug()] || e.Status < 400 || e.Title == "" || e.Detail == "" || e.Fix == "" {
			t.Errorf("%s is not whole, or is there twice", e.Code)
		}
		seen[e.Slug()] = true
	}
}
