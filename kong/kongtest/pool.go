package kongtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// link is a pooled connection to the plugin.
type link struct {
	net.Conn
	raw       syscall.RawConn
	r         *bufio.Reader
	head      [4]byte
	name, arg []byte
}

// errClosed is the cosocket's "closed": the other side ended the connection in
// order. A reset is not it.
var errClosed = errors.New("closed")

// take is ngx.socket.connect: a pooled connection or a new one.
func (w *worker) take(ctx context.Context) (*link, error) {
	for {
		l := w.pooled()
		if l == nil {
			break
		}
		if l.alive() {
			return l, nil
		}
		l.Close()
	}
	dialer := net.Dialer{Timeout: w.k.cfg.Timeout}
	c, err := dialer.DialContext(ctx, "unix", w.k.socket)
	if err != nil {
		return nil, fmt.Errorf("trying to connect: %w", err)
	}
	w.k.dials.Add(1)
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	return &link{Conn: c, raw: raw, r: bufio.NewReader(c)}, nil
}

func (w *worker) pooled() *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.idle)
	if n == 0 {
		return nil
	}
	l := w.idle[n-1]
	w.idle = w.idle[:n-1]
	return l
}

// alive is what nginx learns from the event of an idle connection whose other
// side ended it: such a connection is never handed out.
func (l *link) alive() (alive bool) {
	err := l.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return alive && err == nil
}

// keep is setkeepalive: past the pool's size the one idle longest is closed.
func (w *worker) keep(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = append(w.idle, l)
	if len(w.idle) > w.k.cfg.Pool {
		w.idle[0].Close()
		w.idle = append(w.idle[:0], w.idle[1:]...)
	}
}

// drop closes idle connections, as nginx does when it sees their other side
// closed.
func (w *worker) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.idle {
		l.Close()
	}
	w.idle = nil
}
