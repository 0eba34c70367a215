package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	kpp "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/plugin/gateway"
)

// kong is a worker's connection to a server in this process.
type kong struct {
	t *testing.T
	*gateway.Conn
}

// serve runs a server until the test ends.
func serve(t *testing.T, opt Options) (path string, stop func() error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "server")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	opt.Log = func(line string) { t.Log(line) }
	s := New(Plugin{Configure: func([]byte) (Handler, error) {
		return func(ctx context.Context, p *gateway.Phase) bool {
			name, err := p.Header("X-Do")
			if name == "hang" {
				<-ctx.Done()
				return false
			}
			return err == nil
		}, nil
	}}, opt)
	ctx, cancel := context.WithCancel(t.Context())
	path = dir + "/s"
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, path) }()
	stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return path, stop
}

func dial(t *testing.T, path string) kong {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("unix", path)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			c.SetDeadline(time.Now().Add(10 * time.Second))
			return kong{t, gateway.NewConn(c)}
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func (k kong) send(call *kpp.RpcCall) {
	k.t.Helper()
	b, err := proto.Marshal(call)
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.Send(b); err != nil {
		k.t.Fatal(err)
	}
}

func (k kong) ret() *kpp.RpcReturn {
	k.t.Helper()
	b, err := k.ReadFrame()
	if err != nil {
		k.t.Fatal(err)
	}
	var r kpp.RpcReturn
	if err := proto.Unmarshal(b, &r); err != nil {
		k.t.Fatal(err)
	}
	return &r
}

func (k kong) start(config string) int32 {
	k.t.Helper()
	k.send(&kpp.RpcCall{Sequence: 7, Call: &kpp.RpcCall_CmdStartInstance{
		CmdStartInstance: &kpp.CmdStartInstance{Name: "n", Config: []byte(config)}}})
	r := k.ret()
	if r.Sequence != 7 || r.GetInstanceStatus().GetName() != "n" {
		k.t.Errorf("started: %v", r)
	}
	return r.GetInstanceStatus().GetInstanceId()
}

// event runs the access phase of a request whose X-Do is do, and says whether
// it was let through; io.EOF is a closed connection.
func (k kong) event(id int32, do string) (allowed bool, err error) {
	k.t.Helper()
	return k.phase(id, "access", do)
}

// begin starts such an event and answers the handler's one call.
func (k kong) begin(id int32, do string) {
	k.t.Helper()
	k.send(&kpp.RpcCall{Sequence: 9, Call: &kpp.RpcCall_CmdHandleEvent{
		CmdHandleEvent: &kpp.CmdHandleEvent{InstanceId: id, EventName: "access"}}})
	for range 2 {
		if _, err := k.ReadFrame(); err != nil {
			k.t.Fatal(err)
		}
	}
	value, err := proto.Marshal(&kpp.String{V: do})
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.Send(value); err != nil {
		k.t.Fatal(err)
	}
}

func (k kong) phase(id int32, name, do string) (allowed bool, err error) {
	k.t.Helper()
	k.send(&kpp.RpcCall{Sequence: 9, Call: &kpp.RpcCall_CmdHandleEvent{
		CmdHandleEvent: &kpp.CmdHandleEvent{InstanceId: id, EventName: name}}})
	for {
		b, err := k.ReadFrame()
		switch {
		case err != nil || string(b) == "kong.response.exit":
			return false, err
		case len(b) == 0:
			return k.ret().Sequence == 9, nil
		}
		if _, err := k.ReadFrame(); err != nil {
			return false, err
		}
		value, err := proto.Marshal(&kpp.String{V: do})
		if err != nil {
			k.t.Fatal(err)
		}
		if err := k.Send(value); err != nil {
			return false, err
		}
	}
}

func TestInstancesLifetime(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(1_000_000)
	path, _ := serve(t, Options{Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	k := dial(t, path)

	if id := k.start(`{"__seq__": 12}`); id != 12 {
		t.Errorf("id %d, want Kong's own number 12", id)
	}
	a, b := k.start(`{}`), k.start(`{"__seq__": 0}`)
	if a <= 0 || b <= 0 || a == b {
		t.Errorf("ids %d and %d without a number, want two of their own", a, b)
	}

	// One is closed 61 s later: the others stay.
	now.Add(61)
	k.send(&kpp.RpcCall{Call: &kpp.RpcCall_CmdCloseInstance{CmdCloseInstance: &kpp.CmdCloseInstance{InstanceId: a}}})
	k.ret()
	for _, id := range []int32{12, b} {
		if allowed, err := k.event(id, ""); err != nil || !allowed {
			t.Errorf("instance %d: %v %v", id, allowed, err)
		}
	}
	// 12 is used, b is not, for more than an hour.
	now.Add(40 * 60)
	if _, err := k.event(12, ""); err != nil {
		t.Error(err)
	}
	now.Add(40 * 60)
	k.start(`{"__seq__": 13}`)
	if allowed, err := k.event(12, ""); err != nil || !allowed {
		t.Errorf("the used instance: %v %v", allowed, err)
	}
	for name, id := range map[string]int32{"closed": a, "unused": b} {
		if _, err := dial(t, path).event(id, ""); !errors.Is(err, io.EOF) {
			t.Errorf("%s instance: %v, want the closed connection that makes Kong start it", name, err)
		}
	}
}

func TestUnknownPhaseIsRefused(t *testing.T) {
	t.Parallel()
	path, _ := serve(t, Options{})
	k := dial(t, path)
	if allowed, err := k.phase(k.start(`{}`), "rewrite", ""); allowed || err != nil {
		t.Errorf("allowed %v, %v; want an exit, not a closed connection", allowed, err)
	}
}

func TestStopDoesNotWaitForIdleConnections(t *testing.T) {
	t.Parallel()
	path, stop := serve(t, Options{Grace: time.Hour})
	k := dial(t, path)
	if allowed, err := k.event(k.start(`{}`), ""); err != nil || !allowed {
		t.Fatal(allowed, err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestStopWaitsForRunningEvents(t *testing.T) {
	t.Parallel()
	path, stop := serve(t, Options{Grace: 20 * time.Millisecond})
	k := dial(t, path)
	id := k.start(`{}`)
	idle := dial(t, path)
	hung := dial(t, path)
	hung.begin(id, "hang") // its event runs before the stop
	if allowed, err := k.event(id, ""); err != nil || !allowed {
		t.Fatal(allowed, err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if b, err := hung.ReadFrame(); err == nil && string(b) != "kong.response.exit" {
		t.Errorf("a request that hung was answered with %q at the end", b)
	}
	if _, err := idle.ReadFrame(); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection: %v, want an orderly close", err)
	}
}

func TestServeEndsWithItsParent(t *testing.T) {
	t.Parallel()
	var parent atomic.Int64
	parent.Store(40)
	asked := make(chan struct{}, 100)
	dir := t.TempDir()
	ended := make(chan error, 1)
	s := New(Plugin{}, Options{Every: time.Millisecond, Log: func(string) {}, Parent: func() int {
		select {
		case asked <- struct{}{}:
		default:
		}
		return int(parent.Load())
	}})
	go func() { ended <- s.Serve(t.Context(), dir+"/s") }()
	for range 3 {
		<-asked
	}
	parent.Store(1)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Where go-pdk's schema silently lacks or mangles a field, ours does not exist.
func TestDumpRefusesWhatTheSchemaCannotSay(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]any{
		"int64":    struct{ A int64 }{},
		"duration": struct{ A []time.Duration }{},
		"omitempty": struct {
			A string `json:"a,omitempty"`
		}{},
		"interface": struct{ A map[string]any }{},
		"nothing":   nil,
	} {
		if err := dump(io.Discard, Plugin{Config: config}, "n", "s"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var out bytes.Buffer
	if err := dump(&out, Plugin{Config: &struct{ Word string }{}, Version: "1", Priority: 2}, "n", "/s"); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"Protocol":"ProtoBuf:1","SocketPath":"/s","Plugins":[{"Name":"n","Phases":["access"],"Version":"1","Priority":2,"Schema":%s}]}`,
		`{"fields":[{"config":{"fields":[{"word":{"type":"string"}}],"type":"record"}}],"name":"n"}`)
	if !json.Valid(out.Bytes()) || strings.TrimSpace(out.String()) != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
}
