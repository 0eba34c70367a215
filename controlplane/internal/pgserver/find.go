package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldest is the oldest major version that the product's SQL runs on.
const oldest = 14

// fetchedDir is where `make postgres` puts the programs when root runs it: the
// account that the server runs under can reach it, unlike a checkout in /root.
const fetchedDir = "/var/lib/latchkey/postgresql/bin"

// Binaries are the PostgreSQL installations of this machine, preferred first.
type Binaries []Installation

// Installation is one directory that holds both `postgres` and `initdb`.
type Installation struct {
	Dir   string // absolute, symbolic links resolved
	Major int    // 17 for PostgreSQL 17.2
}

// Find looks for PostgreSQL 14 or newer: in LATCHKEY_PG_BIN alone where that is
// set, else on the PATH, in the places of Debian, Red Hat, Homebrew and
// Postgres.app (highest version first), where `make postgres` puts what it
// fetched, and in extraDirs. The error of an empty result names every place and
// what to install.
func Find(extraDirs ...string) (Binaries, error) {
	if dir := os.Getenv("LATCHKEY_PG_BIN"); dir != "" {
		found, err := inspect(dir)
		if err != nil {
			return nil, fmt.Errorf("LATCHKEY_PG_BIN=%s: %w", dir, err)
		}
		return Binaries{found}, nil
	}
	places := []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		fetchedDir,
	}
	if exe, err := os.Executable(); err == nil && filepath.Base(filepath.Dir(exe)) == "bin" {
		places = append(places, filepath.Join(filepath.Dir(exe), "../.cache/postgres/bin")) // of its checkout
	}
	return search(os.Getenv("PATH"), append(places, extraDirs...))
}

// search inspects the directories of path, then the glob patterns of places.
func search(path string, places []string) (Binaries, error) {
	var found Binaries
	var faults []string
	consider := func(dir string) {
		installation, err := inspect(dir)
		switch {
		case errors.Is(err, errNotHere):
		case err != nil:
			faults = append(faults, fmt.Sprintf("%s: %v", dir, err))
		case !slices.ContainsFunc(found, func(i Installation) bool { return i.Dir == installation.Dir }):
			found = append(found, installation)
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if filepath.IsAbs(dir) { // a relative PATH entry is somebody's current directory
			consider(dir)
		}
	}
	for _, place := range places {
		dirs, _ := filepath.Glob(place)
		slices.SortFunc(dirs, newestFirst)
		for _, dir := range dirs {
			consider(dir)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return nil, notFound(places, faults)
}

func notFound(places, faults []string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "no PostgreSQL %d or newer on this machine; looked for postgres and initdb in:\n", oldest)
	text.WriteString("  LATCHKEY_PG_BIN (not set)\n  the directories of PATH\n")
	for _, place := range places {
		fmt.Fprintf(&text, "  %s\n", place)
	}
	for _, fault := range faults {
		fmt.Fprintf(&text, "found, but of no use: %s\n", fault)
	}
	text.WriteString("install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17),\n" +
		"or fetch it for development with `make postgres`, or set DATABASE_URL to a server that runs already")
	return errors.New(text.String())
}

// errNotHere says that a directory holds no PostgreSQL server at all.
var errNotHere = errors.New("holds no postgres and initdb")

var versionNumber = regexp.MustCompile(`\d+`)

// inspect resolves the directory that holds the programs and asks for their
// version. Links are resolved because a link on the PATH points into the
// installation, and the server's account must reach that.
func inspect(dir string) (Installation, error) {
	postgres, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil {
		return Installation{}, errNotHere
	}
	if postgres, err = filepath.Abs(postgres); err != nil {
		return Installation{}, err
	}
	home := filepath.Dir(postgres)
	if _, err := os.Stat(filepath.Join(home, "initdb")); err != nil {
		return Installation{}, errNotHere
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	said, err := exec.CommandContext(ctx, postgres, "--version").Output()
	if err != nil {
		return Installation{}, fmt.Errorf("does not run: %w", err)
	}
	major, err := strconv.Atoi(versionNumber.FindString(string(said)))
	if err != nil {
		return Installation{}, fmt.Errorf("says no version: %q", said)
	}
	if major < oldest {
		return Installation{}, fmt.Errorf("is PostgreSQL %d, older than %d", major, oldest)
	}
	return Installation{Dir: home, Major: major}, nil
}

// newestFirst orders …/9.6/bin, …/15/bin and …@17/bin by their last number.
func newestFirst(a, b string) int {
	version := func(dir string) int {
		numbers := versionNumber.FindAllString(filepath.Base(filepath.Dir(dir)), 1)
		if len(numbers) == 0 {
			return 0
		}
		n, _ := strconv.Atoi(numbers[0])
		return n
	}
	return version(b) - version(a)
}

// forFiles narrows the installations to those that can run files of a major
// version; zero means that there are no files yet and any will do.
func (b Binaries) forFiles(major int) Binaries {
	if major == 0 {
		return b
	}
	return slices.DeleteFunc(slices.Clone(b), func(i Installation) bool { return i.Major != major })
}

func (b Binaries) String() string {
	var parts []string
	for _, i := range b {
		parts = append(parts, fmt.Sprintf("%d in %s", i.Major, i.Dir))
	}
	return strings.Join(parts, ", ")
}
