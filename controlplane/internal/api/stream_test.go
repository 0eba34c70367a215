package api

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// single is a listener for one connection in memory, so that the server's limits
// go by the clock of a test.
type single struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l single) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l single) Close() error   { close(l.closed); return nil }
func (l single) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (l single) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	l.conn <- theirs
	return ours, nil
}

// A stream outlives the limits that the server sets for requests and answers,
// and one that fails is cut off.
func TestAStreamHasLimitsOfItsOwn(t *testing.T) {
	t.Parallel()
	const limit, pause, parts = 10 * time.Second, time.Second, 50
	for name, failure := range map[string]error{"whole": nil, "cut off": errors.New("the database went away")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mux := http.NewServeMux()
				api := humago.New(mux, huma.DefaultConfig("test", "1"))
				huma.Register(api, huma.Operation{Method: http.MethodGet, Path: "/stream", OperationID: "stream"},
					func(context.Context, *struct{}) (*huma.StreamResponse, error) {
						return &huma.StreamResponse{Body: func(ctx huma.Context) {
							streamLines(ctx, "attachment", func(write func(any) error) error {
								for range parts {
									time.Sleep(pause)
									if err := errors.Join(write(make([]int, streamBuffer)), ctx.Context().Err()); err != nil {
										return err
									}
								}
								return failure
							})
						}}, nil
					})
				server := http.Server{Handler: mux, ReadTimeout: limit, WriteTimeout: limit}
				listener := single{make(chan net.Conn), make(chan struct{})}
				go func() { _ = server.Serve(listener) }()
				client := http.Transport{DialContext: listener.dial}
				defer server.Close()
				defer client.CloseIdleConnections()
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://latchkey/stream", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				response, err := client.RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				got := 0
				scanner := bufio.NewScanner(response.Body)
				scanner.Buffer(nil, 4*streamBuffer)
				for scanner.Scan() {
					got++
				}
				if failure == nil && (scanner.Err() != nil || got != parts) || failure != nil && scanner.Err() == nil {
					t.Errorf("%d lines of %d, %v", got, parts, scanner.Err())
				}
			})
		})
	}
}
