package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	kpp "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/plugin/gateway"
)

// eventLimit bounds one event's traffic with Kong. Kong's own cosockets give up
// after 60 s.
const eventLimit = 70 * time.Second

// conn serves one connection of a Kong worker's pool.
type conn struct {
	s    *Server
	raw  net.Conn
	gw   *gateway.Conn
	mu   sync.Mutex
	busy bool // an event is running
	done bool // no further event is wanted
}

var (
	errNoInstance = errors.New("no such instance")
	errUnknown    = errors.New("unknown call")
	errEnded      = errors.New("phase ended by an exit")
)

// run answers calls until Kong closes the connection or one breaks it. The
// error is for the log; nil is an orderly end.
func (c *conn) run(ctx context.Context) error {
	for {
		frame, err := c.gw.ReadFrame()
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		var call kpp.RpcCall
		if err := proto.Unmarshal(frame, &call); err != nil {
			return fmt.Errorf("a call that is not one: %w", err)
		}
		if !c.enter() {
			return nil
		}
		err = c.answer(ctx, &call)
		if ended := c.leave(); err != nil || ended {
			if errors.Is(err, errEnded) {
				return nil
			}
			return err
		}
	}
}

// enter and leave keep the server's stop from cutting an event off.
func (c *conn) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = !c.done
	return c.busy
}

func (c *conn) leave() (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	return c.done
}

// retire closes the connection as soon as no event runs on it.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	if !c.busy {
		c.raw.Close()
	}
}

// answer handles one call. An error closes the connection.
func (c *conn) answer(ctx context.Context, call *kpp.RpcCall) error {
	switch m := call.Call.(type) {
	case *kpp.RpcCall_CmdHandleEvent:
		return c.event(ctx, call.Sequence, m.CmdHandleEvent)
	case *kpp.RpcCall_CmdStartInstance:
		in := c.s.instances.start(c.s.plugin, m.CmdStartInstance.Name, m.CmdStartInstance.Config)
		if in.fault != nil {
			c.s.log("instance %d: unusable configuration: %v", in.id, in.fault)
		}
		return c.status(call.Sequence, in)
	case *kpp.RpcCall_CmdCloseInstance:
		id := m.CmdCloseInstance.InstanceId
		c.s.instances.close(id)
		return c.status(call.Sequence, &instance{id: id})
	}
	return errUnknown // Kong 3.9 makes no other calls
}

func (c *conn) status(sequence int64, in *instance) error {
	return c.ret(&kpp.RpcReturn{Sequence: sequence, Return: &kpp.RpcReturn_InstanceStatus{
		InstanceStatus: &kpp.InstanceStatus{Name: in.name, InstanceId: in.id, StartedAt: in.started},
	}})
}

// ret sends a call's return, after the given frames, in one write.
func (c *conn) ret(r *kpp.RpcReturn, before ...[]byte) error {
	b, err := proto.Marshal(r)
	if err != nil {
		return err
	}
	return c.gw.Send(append(before, b)...)
}

// event runs a phase and ends it: with the empty frame and the return when the
// handler let the request on, else with an Exit of its own or of the fault.
func (c *conn) event(ctx context.Context, sequence int64, m *kpp.CmdHandleEvent) error {
	in := c.s.instances.use(m.InstanceId)
	if in == nil {
		return errNoInstance
	}
	// A deadline of the socket, hence of the real clock.
	if err := c.raw.SetDeadline(time.Now().Add(eventLimit)); err != nil {
		return err
	}
	p := gateway.NewPhase(c.gw)
	allowed := m.EventName == "access" && c.decide(ctx, in, p)
	switch {
	case p.Exited():
		return errEnded
	case !p.InSync():
		return p.Err() // Kong broke it off; whatever it does now, it lets nothing through
	case allowed && p.Err() == nil:
		if err := c.ret(&kpp.RpcReturn{Sequence: sequence}, nil); err != nil {
			return err
		}
		return c.raw.SetDeadline(time.Time{})
	}
	if err := p.Exit(c.s.fault()); err != nil {
		return err
	}
	return errEnded
}

// decide runs the handler and turns a panic into "undecided".
func (c *conn) decide(ctx context.Context, in *instance, p *gateway.Phase) (allowed bool) {
	defer func() {
		if v := recover(); v != nil {
			allowed = false
			if c.s.mayTell() {
				c.s.log("panic: %s\n%s", panicText(v), debug.Stack())
				_ = p.Log(gateway.Err, in.name+": panic, the request gets 500: "+panicText(v))
			}
		}
	}()
	if in.fault != nil {
		in.misconfigured(p)
		return false
	}
	return in.handler(ctx, p)
}

// panicText says what a panic was. Only the runtime's own faults are quoted:
// any other value may hold what must not be in a log.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}
