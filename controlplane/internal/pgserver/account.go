package pgserver

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is whom the server runs as. PostgreSQL refuses to run as root, so
// root lends it another one; for everybody else it is the caller's own.
type account struct {
	name     string
	uid, gid uint32
	lent     bool // differs from the caller: children change to it, files are given to it
}

// ownAccount is the caller's.
func ownAccount() account {
	return account{name: strconv.Itoa(os.Getuid()), uid: uint32(os.Getuid()), gid: uint32(os.Getgid())}
}

// lentAccount is postgres where the machine has it, else nobody.
func lentAccount() (account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		if known, err := user.Lookup(name); err == nil {
			return accountOf(known)
		}
	}
	return account{}, fmt.Errorf("root cannot run PostgreSQL, and this machine has no account postgres or nobody to run it")
}

// ownerOf is the account that existing database files belong to: PostgreSQL
// insists on it, whatever accounts the machine has gained since.
func ownerOf(info fs.FileInfo) (account, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return account{}, fmt.Errorf("the owner of %s is unknown", info.Name())
	}
	if stat.Uid == 0 {
		return account{}, fmt.Errorf("%s belongs to root, and PostgreSQL does not run as root: give it to another account (chown -R)", info.Name())
	}
	return account{name: strconv.Itoa(int(stat.Uid)), uid: stat.Uid, gid: stat.Gid, lent: true}, nil
}

func accountOf(known *user.User) (account, error) {
	// Signed, for nobody is -2 on some systems.
	uid, err := strconv.ParseInt(known.Uid, 10, 64)
	if err != nil {
		return account{}, fmt.Errorf("account %s: %w", known.Username, err)
	}
	gid, err := strconv.ParseInt(known.Gid, 10, 64)
	if err != nil {
		return account{}, fmt.Errorf("account %s: %w", known.Username, err)
	}
	return account{name: known.Username, uid: uint32(uid), gid: uint32(gid), lent: true}, nil
}

// credential makes a child run under the account; nil leaves it as it is.
func (a account) credential() *syscall.Credential {
	if !a.lent {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid} // no supplementary groups
}

// give hands a file or directory to the account.
func (a account) give(path string) error {
	if !a.lent {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// reaches reports whether the account may pass through every directory of path,
// an absolute path without symbolic links, as far as it exists.
func (a account) reaches(path string) bool {
	for dir := path; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && !a.mayEnter(info) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func (a account) mayEnter(dir fs.FileInfo) bool {
	stat, ok := dir.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	switch {
	case stat.Uid == a.uid:
		return dir.Mode()&0o100 != 0
	case stat.Gid == a.gid:
		return dir.Mode()&0o010 != 0
	default:
		return dir.Mode()&0o001 != 0
	}
}
