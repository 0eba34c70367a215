package server

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/latchkey/latchkey/plugin/gateway"
)

// What runs beside the requests ends with the server, which waits for it; its
// failure ends nothing.
func TestRunEndsWithTheServer(t *testing.T) {
	t.Parallel()
	var ended atomic.Bool
	s := New(Plugin{
		Configure: func([]byte) (Handler, error) {
			return func(context.Context, *gateway.Phase) bool { return true }, nil
		},
		Run: func(ctx context.Context) error {
			<-ctx.Done()
			ended.Store(true)
			return errors.New("the feed broke")
		},
	}, Options{Log: func(line string) { t.Log(line) }})
	ctx, cancel := context.WithCancel(t.Context())
	path := t.TempDir() + "/s"
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, path) }()
	k := dial(t, path)
	id := k.start(`{"__seq__":1}`)
	if allowed, err := k.event(id, ""); err != nil || !allowed {
		t.Errorf("beside it: %v, %v", allowed, err)
	}
	cancel()
	if err := <-served; err != nil || !ended.Load() {
		t.Errorf("served: %v, ended: %v", err, ended.Load())
	}
}
