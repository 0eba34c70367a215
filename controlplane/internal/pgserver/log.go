package pgserver

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// mostLog is how large a server log may be before it is set aside at a start.
const mostLog = 8 << 20

// openLog opens the server's log for the next run, whose part begins at from.
func (s site) openLog() (file *os.File, from int64, err error) {
	path := s.logFile()
	if info, err := os.Lstat(path); err == nil && info.Size() > mostLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, err
		}
	}
	// The directory belongs to the server's account, which must not make root
	// write through a link of its own.
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND | syscall.O_NOFOLLOW
	file, err = os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if s.account.lent {
		err = errors.Join(err, file.Chown(int(s.account.uid), int(s.account.gid)))
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// logSince is the end of what the server has said since from.
func (s site) logSince(from int64) string {
	file, err := os.Open(s.logFile())
	if err != nil {
		return ""
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, from, mostLog))
	if err != nil {
		return ""
	}
	return tail(text)
}
