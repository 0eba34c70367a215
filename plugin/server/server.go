package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/plugin/gateway"
)

// Options are the server's surroundings; zero values stand for the real ones.
type Options struct {
	Now    func() time.Time
	Parent func() int    // the parent process's id, os.Getppid
	Every  time.Duration // how often Kong's presence is looked at, 1 s
	Grace  time.Duration // how long running events may take when the process ends, 2 s
	// Log takes a line for the process's error output, which Kong shows at
	// level info, that is by default not at all.
	Log func(line string)
}

// Server serves one plugin on one socket.
type Server struct {
	plugin    Plugin
	opt       Options
	instances instances
	lastTold  atomic.Int64 // Unix seconds of the last panic that was logged

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// New makes a server; it starts nothing.
func New(p Plugin, opt Options) *Server {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Parent == nil {
		opt.Parent = os.Getppid
	}
	if opt.Every == 0 {
		opt.Every = time.Second
	}
	if opt.Grace == 0 {
		opt.Grace = 2 * time.Second
	}
	if opt.Log == nil {
		opt.Log = func(line string) { fmt.Fprintln(os.Stderr, line) }
	}
	return &Server{
		plugin:    p,
		opt:       opt,
		instances: instances{now: opt.Now, byID: map[int32]*instance{}},
		conns:     map[*conn]struct{}{},
	}
}

// Serve answers Kong on the socket at path until ctx ends or Kong is gone, then
// gives running events their grace, closes everything and waits for it. It
// returns nil after such an end.
func (s *Server) Serve(ctx context.Context, path string) error {
	parent := s.opt.Parent() // before anyone can have found the socket
	l, err := listen(path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// What handlers see ends only after the grace.
	handling, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()

	var wg sync.WaitGroup
	wg.Go(func() {
		if why := s.watch(ctx, l, parent); why != "" {
			s.log("ending: %s", why)
		}
		l.Close() // ends accept
	})
	if s.plugin.Run != nil {
		wg.Go(func() {
			if err := s.plugin.Run(ctx); err != nil {
				s.log("beside the requests: %v", err)
			}
		})
	}
	err = s.accept(handling, l, &wg)
	cancel()
	s.retire()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, s.drain(&wg, abort))
}

// drain waits for the connections: the grace for running events, then as long
// again for handlers that were told to end and lost their connection.
func (s *Server) drain(wg *sync.WaitGroup, abort func()) error {
	stopped := make(chan struct{})
	go func() { defer close(stopped); wg.Wait() }()
	for range 2 {
		grace := time.NewTimer(s.opt.Grace)
		select {
		case <-stopped:
			grace.Stop()
			return nil
		case <-grace.C:
		}
		abort()
		s.closeAll()
	}
	return errors.New("a handler did not end")
}

// accept serves connections until the listener closes.
func (s *Server) accept(ctx context.Context, l net.Listener, wg *sync.WaitGroup) error {
	for {
		raw, err := l.Accept()
		if err != nil {
			return err
		}
		c := &conn{s: s, raw: raw, gw: gateway.NewConn(raw)}
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		wg.Go(func() {
			if err := c.run(ctx); err != nil {
				s.log("connection closed: %v", err)
			}
			raw.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

func (s *Server) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.retire()
	}
}

func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.raw.Close()
	}
}

func (s *Server) fault() gateway.Reply {
	if s.plugin.Fault.Status == 0 {
		return faultReply
	}
	return s.plugin.Fault
}

// mayTell lets one panic a second into the log, so that a request that panics
// cannot be used to fill it.
func (s *Server) mayTell() bool {
	now := s.opt.Now().Unix()
	last := s.lastTold.Load()
	return now != last && s.lastTold.CompareAndSwap(last, now)
}

func (s *Server) log(format string, args ...any) { s.opt.Log(fmt.Sprintf(format, args...)) }
