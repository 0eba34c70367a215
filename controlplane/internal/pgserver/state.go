package pgserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// state is what the owner leaves for others to join its server, and for the
// next owner to clear away. It stays after a clean end, without a socket: the
// programs that made the files are worth remembering.
type state struct {
	PID       int    `json:"pid"`
	SocketDir string `json:"socket_dir"`
	DataDir   string `json:"data_dir"`
	Binaries  string `json:"binaries"`
}

func (s site) readState() (state, error) {
	text, err := os.ReadFile(s.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	var was state
	if err := json.Unmarshal(text, &was); err != nil {
		return state{}, nil //nolint:nilerr // torn by a crash: as good as none
	}
	return was, nil
}

// writeState replaces the file in one step, so that nobody reads half of it.
func (s site) writeState(now state) error {
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	draft := s.stateFile() + ".new"
	if err := os.WriteFile(draft, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, s.stateFile())
}

// lock takes the right to start and stop the server; held is nil while another
// process has it. The file stays for good: removing it would let two processes
// lock two different files of one name.
func (s site) lock() (held *os.File, err error) {
	file, err := os.OpenFile(s.lockFile(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	err = errors.Join(err, file.Close())
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", s.lockFile(), err)
}

const (
	socketPrefix = "latchkey-"
	socketPort   = "5432" // of the socket's name only
)

// newSocketDir makes the closed directory of the socket. It is under /tmp and
// not in the data directory because a socket's path ends at 103 bytes (macOS;
// Linux 107), and has a name that nobody can guess and occupy beforehand.
func (s site) newSocketDir() (string, error) {
	dir, err := os.MkdirTemp("/tmp", socketPrefix)
	if err != nil {
		return "", err
	}
	if err := s.account.give(dir); err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

// removeSocketDir clears away what newSocketDir made, be it another process's.
func removeSocketDir(dir string) {
	if strings.HasPrefix(dir, filepath.Join("/tmp", socketPrefix)) && filepath.Dir(dir) == "/tmp" {
		_ = os.RemoveAll(dir) // what stays is an empty directory in /tmp
	}
}

// answers reports whether a server listens on the socket.
func (s state) answers() bool {
	if s.SocketDir == "" {
		return false
	}
	conn, err := net.DialTimeout("unix", filepath.Join(s.SocketDir, ".s.PGSQL."+socketPort), time.Second) //nolint:noctx // bounded by its timeout
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
