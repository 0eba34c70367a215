package kongtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	kpp "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"
)

// worker is one nginx worker: its connection pool and its table of instances.
type worker struct {
	k        *Kong
	sequence atomic.Int64

	mu        sync.Mutex
	idle      []*link // the last one used is taken first
	instances map[*Route]*running
	numbers   map[*Route]int64 // __seq__ of each route's configuration here
}

// running is an instance as plugin.lua keeps it: claimed, then started. The
// fields are set before ready closes.
type running struct {
	ready chan struct{}
	seq   int64
	id    int32
	err   error
}

// reset forgets all instances (reset_instances_for_plugin); reload gives every
// configuration a new number besides.
func (w *worker) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instances = map[*Route]*running{}
}

func (w *worker) reload() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.numbers = map[*Route]int64{}
}

// instance is get_instance_id of plugin.lua: the running instance of this
// worker for the route, started when there is none or when its configuration
// is an older one, which is then closed. Others wait for the one that starts
// (Kong looks again every 0.1 s).
func (w *worker) instance(ctx context.Context, r *Route) (int32, error) {
	for {
		w.mu.Lock()
		seq := w.numbers[r]
		if seq == 0 {
			seq = w.k.seq.Add(1)
			w.numbers[r] = seq
		}
		in := w.instances[r]
		if in != nil && in.seq == seq {
			w.mu.Unlock()
			select {
			case <-in.ready:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			if in.err == nil {
				return in.id, nil
			}
			continue // the claim is gone: try to start it
		}
		next := &running{ready: make(chan struct{}), seq: seq}
		w.instances[r] = next
		w.mu.Unlock()
		return w.start(ctx, r, next, in)
	}
}

func (w *worker) start(ctx context.Context, r *Route, next, old *running) (int32, error) {
	config := r.config(next.seq)
	ret, err := w.call(ctx, nil, &kpp.RpcCall{Call: &kpp.RpcCall_CmdStartInstance{
		CmdStartInstance: &kpp.CmdStartInstance{Name: w.k.dump.Plugins[0].Name, Config: config},
	}})
	if err == nil && ret.GetInstanceStatus() == nil {
		err = errors.New("start_instance answered without a status")
	}
	w.k.starts.Add(1)
	next.id, next.err = ret.GetInstanceStatus().GetInstanceId(), err
	if err != nil {
		w.mu.Lock()
		if w.instances[r] == next {
			delete(w.instances, r)
		}
		w.mu.Unlock()
	}
	close(next.ready)
	if err != nil {
		return 0, fmt.Errorf("starting instance: %w", err)
	}
	if old != nil {
		// Kong does not care for its error either.
		_, _ = w.call(ctx, nil, &kpp.RpcCall{Call: &kpp.RpcCall_CmdCloseInstance{
			CmdCloseInstance: &kpp.CmdCloseInstance{InstanceId: old.id},
		}})
	}
	return next.id, nil
}

// call is Rpc:call of pb_rpc.lua; with p it answers the plugin's calls until
// the empty frame. A connection that did not come to the return is dropped.
func (w *worker) call(ctx context.Context, p *phase, m *kpp.RpcCall) (*kpp.RpcReturn, error) {
	l, err := w.take(ctx)
	if err != nil {
		return nil, err
	}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { l.SetDeadline(time.Unix(1, 0)) })
	}
	ret, err := w.exchange(l, p, m)
	if whole := stop(); err != nil || !whole { // a deadline that was cut must not come back from the pool
		l.Close()
		return ret, err
	}
	w.keep(l)
	return ret, nil
}

func (w *worker) exchange(l *link, p *phase, m *kpp.RpcCall) (*kpp.RpcReturn, error) {
	m.Sequence = w.sequence.Add(1)
	msg, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	if err := writeFrame(l, &l.head, msg); err != nil {
		return nil, err
	}
	for p != nil {
		if l.name, err = w.read(l, l.name); err != nil {
			return nil, err
		}
		if len(l.name) == 0 {
			break
		}
		if err := w.answer(l, p); err != nil {
			return nil, err
		}
	}
	if l.arg, err = w.read(l, l.arg); err != nil {
		return nil, err
	}
	var ret kpp.RpcReturn
	if err := proto.Unmarshal(l.arg, &ret); err != nil {
		return nil, luaError{err.Error()}
	}
	if ret.Sequence != m.Sequence {
		return nil, raise("assertion failed! sequence %d, want %d", ret.Sequence, m.Sequence)
	}
	return &ret, nil
}

// answer reads the arguments of the call named in l.name and replies.
func (w *worker) answer(l *link, p *phase) (err error) {
	if l.arg, err = w.read(l, l.arg); err != nil {
		return err
	}
	method := methodName(l.name)
	p.out.Calls = append(p.out.Calls, method)
	b, err := p.call(method, l.arg)
	if err != nil {
		return err
	}
	return writeFrame(l, &l.head, b)
}

// methodName avoids a copy for the names that are known.
func methodName(b []byte) string {
	if name, ok := names[string(b)]; ok {
		return name
	}
	return string(b)
}

var names = func() map[string]string {
	m := make(map[string]string, len(pdk))
	for name := range pdk {
		m[name] = name
	}
	return m
}()

// read reads a frame with the cosocket's timeout, which is counted anew for
// each, and with its words for the end.
func (w *worker) read(l *link, buf []byte) ([]byte, error) {
	if err := l.SetReadDeadline(time.Now().Add(w.k.cfg.Timeout)); err != nil {
		return buf, err
	}
	buf, err := readFrame(l.r, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errClosed
	}
	return buf, err
}
