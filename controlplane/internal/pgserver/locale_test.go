package pgserver

import (
	"os"
	"path/filepath"
	"testing"
)

// letters tells whether the server knows letters beyond ASCII in either case;
// texts are in the order of their bytes.
const letters = `SELECT lower('ÄЙΣ') || CASE WHEN 'Z' < 'a' THEN ' by bytes' ELSE '' END`

func TestLettersOfEveryLanguage(t *testing.T) {
	t.Parallel()
	if got := query(t, open(t, dataDir(t)).DSN(), letters); got != "äйσ by bytes" {
		t.Errorf("lower case: %q", got)
	}
}

// A system without such a locale gets a server all the same.
func TestASystemThatKnowsASCIIAlone(t *testing.T) {
	t.Parallel()
	whole, poor := binaries(t)[0], dataDir(t)
	if err := os.Mkdir(poor, 0o755); err != nil {
		t.Fatal(err)
	}
	refuses := "#!/bin/sh\ncase \"$*\" in *--lc-ctype=C.UTF-8*) echo 'initdb: error: invalid locale name \"C.UTF-8\"' >&2; exit 1;; esac\n" +
		"exec " + whole.Dir + "/initdb \"$@\"\n"
	if err := os.WriteFile(filepath.Join(poor, "initdb"), []byte(refuses), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(whole.Dir, "postgres"), filepath.Join(poor, "postgres")); err != nil {
		t.Fatal(err)
	}
	server, err := Open(t.Context(), Config{DataDir: dataDir(t), Binaries: Binaries{{Dir: poor, Major: whole.Major}}, Fast: true, Log: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeServer(t, server) })
	if got := query(t, server.DSN(), letters); got != "ÄЙΣ by bytes" {
		t.Errorf("lower case: %q", got)
	}
}
