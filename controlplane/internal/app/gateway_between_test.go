package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/shared/wire"
)

// between stands between a gateway and a replica and can do to both what
// networks and broken servers do, to calls that come and to streams that are
// open.
type between struct {
	url   string
	proxy *httputil.ReverseProxy

	mu    sync.Mutex
	fault string
	over  chan struct{} // closed when the fault is over
}

// The faults.
const (
	stalls     = "stalls"      // nothing passes and nothing is closed
	failing    = "500"         // every call fails
	garbage    = "garbage"     // what passes is noise
	halfABody  = "half a body" // answers end in order in their middle
	strangers  = "a stranger"  // another server is at the address
	noAnswers  = "no answers"  // calls are closed without an answer
	everything = ""            // no fault: everything passes
)

func newBetween(t testing.TB, target string) *between {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	b := &between{over: make(chan struct{})}
	b.proxy = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(b)
	b.url = server.URL
	t.Cleanup(func() {
		b.becomes(noAnswers)
		server.CloseClientConnections()
		server.Close()
	})
	return b
}

// becomes ends the fault that is and begins another.
func (b *between) becomes(fault string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.over)
	b.fault, b.over = fault, make(chan struct{})
}

// now returns the fault. It waits where everything stalls.
func (b *between) now(ctx context.Context) string {
	for {
		b.mu.Lock()
		fault, over := b.fault, b.over
		b.mu.Unlock()
		if fault != stalls {
			return fault
		}
		select {
		case <-over:
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
}

func (b *between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // or the server would not notice that the caller left
	if err != nil {
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	switch fault := b.now(r.Context()); fault {
	case failing:
		w.Header().Set(wire.Header, wire.Version)
		w.WriteHeader(http.StatusInternalServerError)
	case noAnswers:
		panic(http.ErrAbortHandler)
	case strangers:
		_, _ = io.WriteString(w, "<html>It works!</html>")
	case garbage:
		w.Header().Set(wire.Header, wire.Version)
		_, _ = io.WriteString(w, "event: change\nid: \xff\ndata: {\x00\n\n")
	default:
		b.proxy.ServeHTTP(&spoiled{ResponseWriter: w, between: b, ctx: r.Context()}, r)
	}
}

// spoiled is an answer on its way to the gateway.
type spoiled struct {
	http.ResponseWriter
	between *between
	ctx     context.Context //nolint:containedctx // of the request whose answer this is
	cut     bool
}

// Unwrap lets streams be flushed.
func (s *spoiled) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *spoiled) WriteHeader(status int) {
	if s.between.now(s.ctx) != everything {
		s.Header().Del("Content-Length")
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write passes bytes on, or what the fault makes of them.
func (s *spoiled) Write(b []byte) (int, error) {
	switch fault := s.between.now(s.ctx); {
	case s.cut:
		return len(b), nil
	case fault == everything:
		return s.ResponseWriter.Write(b)
	case fault == halfABody:
		s.cut = true
		_, err := s.ResponseWriter.Write(b[:len(b)/2])
		return len(b), err
	case fault == garbage:
		_, err := s.ResponseWriter.Write([]byte(strings.Repeat("\xff{\n", len(b)/3+1)))
		return len(b), err
	}
	panic(http.ErrAbortHandler)
}
