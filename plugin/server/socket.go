package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

// socket is the listening socket and the file that stands for it.
type socket struct {
	*net.UnixListener
	path string
	file os.FileInfo
}

// listen opens the socket at path for its owner alone (Kong's workers are the
// same user). A socket that an earlier process left there is replaced in one
// step, so that on a reload no worker finds nothing.
func listen(path string) (_ *socket, err error) {
	own := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.Remove(own); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: own, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.Close()
			os.Remove(own)
		}
	}()
	// The path may be a successor's by the time this listener closes.
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(own, 0o600); err != nil {
		return nil, err
	}
	file, err := os.Lstat(own)
	if err != nil {
		return nil, err
	}
	return &socket{UnixListener: l, path: path, file: file}, os.Rename(own, path)
}

// watch waits until nobody can want this process any more and says why, or
// returns "" when ctx ends first. Kong's first worker is the parent and may be
// killed without a word to its children; the worker that follows starts a
// process of its own, which takes the socket's path over.
func (s *Server) watch(ctx context.Context, l *socket, parent int) (why string) {
	tick := time.NewTicker(s.opt.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ""
		case <-tick.C:
		}
		if now := s.opt.Parent(); now != parent {
			return fmt.Sprintf("Kong's worker %d is gone", parent)
		}
		if file, err := os.Lstat(l.path); err != nil || !os.SameFile(file, l.file) {
			return "the socket belongs to another process"
		}
	}
}
