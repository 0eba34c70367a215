package pgserver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// elsewhere holds the database files of data directories that the server's
// account cannot reach.
const elsewhere = "/var/lib/latchkey"

// site is where one data directory's database files are, and whose.
type site struct {
	files   string // absolute
	account account
}

func (s site) lockFile() string  { return s.files + ".lock" }
func (s site) stateFile() string { return s.files + ".json" }
func (s site) logFile() string   { return filepath.Join(s.files, "server.log") }

// major is the version of the database files, zero where there are none yet.
func (s site) major() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.files, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// locate finds the database files of a data directory, or decides where they
// will be. What was decided once holds for good: the files never move.
func locate(dataDir string, root bool, log func(string)) (site, error) {
	mode := fs.FileMode(0o700)
	if root {
		mode = 0o711 // the server's account passes through; the secrets beside its files are 0600
	}
	if err := os.MkdirAll(dataDir, mode); err != nil {
		return site{}, err
	}
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return site{}, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return site{}, err
	}
	pointer := filepath.Join(dir, "postgres.at")
	files := filepath.Join(dir, "postgres")
	moved, err := os.ReadFile(pointer)
	switch {
	case err == nil:
		files = strings.TrimSpace(string(moved))
		log("the database files of " + dir + " are in " + files)
	case !errors.Is(err, fs.ErrNotExist):
		return site{}, err
	}
	if !root {
		return site{files: files, account: ownAccount()}, nil
	}
	if info, err := os.Stat(files); err == nil {
		owner, err := ownerOf(info)
		if err == nil && !owner.reaches(files) {
			err = fmt.Errorf("account %s, whose database files are in %s, cannot reach them: let it pass through the directories above (chmod o+x)", owner.name, files)
		}
		return site{files: files, account: owner}, err
	}
	lent, err := lentAccount()
	if err != nil || moved != nil || lent.reaches(dir) {
		return site{files: files, account: lent}, err
	}
	files, err = settle(dir, pointer)
	if err == nil {
		log(fmt.Sprintf("account %s cannot reach %s: the database files go to %s", lent.name, dir, files))
	}
	return site{files: files, account: lent}, err
}

// settle chooses a place outside the data directory and notes it there. The
// note alone ties the two together: files of a deleted data directory with the
// same path are never taken up, for their secrets are gone.
func settle(dir, pointer string) (string, error) {
	if err := os.MkdirAll(elsewhere, 0o755); err != nil { //nolint:gosec // the server's account passes through
		return "", err
	}
	if err := os.Chmod(elsewhere, 0o755); err != nil { //nolint:gosec // whatever the umask is
		return "", err
	}
	sum := sha256.Sum256([]byte(dir))
	name := fmt.Sprintf("%s-%x", strings.Trim(strings.ReplaceAll(dir, "/", "-"), "-."), sum[:4])
	if len(name) > 100 {
		name = name[len(name)-100:]
	}
	files := filepath.Join(elsewhere, name)
	for n := 2; exists(files); n++ {
		files = filepath.Join(elsewhere, fmt.Sprintf("%s-%d", name, n))
	}
	// Linked into place: of two that start together the first decides.
	draft, err := os.CreateTemp(dir, "postgres.at-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(draft.Name())
	_, err = draft.WriteString(files + "\n")
	if err = errors.Join(err, draft.Close()); err != nil {
		return "", err
	}
	if err := os.Link(draft.Name(), pointer); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	decided, err := os.ReadFile(pointer)
	return strings.TrimSpace(string(decided)), err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
