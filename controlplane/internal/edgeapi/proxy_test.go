package edgeapi_test

import (
	"context"
	"net"
	"sync"
	"testing"
)

// proxy stands between a gateway and a replica. While it stalls, every
// connection stays open and nothing passes.
type proxy struct {
	addr string

	mu    sync.Mutex
	pass  chan struct{} // closed: bytes pass
	conns []net.Conn
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	at := must[net.Listener](t)(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	p := &proxy{addr: at.Addr().String(), pass: make(chan struct{})}
	close(p.pass)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := at.Accept()
			if err != nil {
				return
			}
			out, err := new(net.Dialer).DialContext(ctx, "tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			running.Go(func() { p.copy(ctx, in, out) })
			running.Go(func() { p.copy(ctx, out, in) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = at.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

func (p *proxy) copy(ctx context.Context, to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		p.mu.Lock()
		pass := p.pass
		p.mu.Unlock()
		select {
		case <-pass:
		case <-ctx.Done():
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// stall holds everything up until the returned function is called.
func (p *proxy) stall() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass = make(chan struct{})
	return sync.OnceFunc(func() { close(p.pass) })
}
