package server

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/plugin/gateway"
)

// unusedFor is how long an instance is kept that Kong neither uses nor closes:
// a worker that ended, or a plugin taken off its route, leaves it behind. Kong
// starts an instance again when it is missed.
const unusedFor = time.Hour

// instance is one route's configured handler.
type instance struct {
	id      int32
	name    string
	started int64 // Unix seconds
	handler Handler
	fault   error        // why the configuration is unusable; the handler is nil
	told    atomic.Bool  // the fault stands in Kong's log
	used    atomic.Int64 // Unix seconds of the last event
}

// instances is the table of running instances, safe for concurrent use.
type instances struct {
	now  func() time.Time
	mu   sync.RWMutex
	byID map[int32]*instance
}

// start configures an instance and registers it. Kong numbers its
// configurations (__seq__, unique over workers) and the id is that number, so
// that starting one again takes its old place, and so that an id from before a
// restart of this process can never mean another route's policy.
func (t *instances) start(p Plugin, name string, config []byte) *instance {
	now := t.now()
	in := &instance{name: name, started: now.Unix()}
	in.used.Store(now.Unix())
	in.handler, in.fault = configure(p, config)

	var meta struct {
		Seq int64 `json:"__seq__"`
	}
	if err := json.Unmarshal(config, &meta); err != nil || meta.Seq > math.MaxInt32 {
		meta.Seq = 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, old := range t.byID {
		if now.Unix()-old.used.Load() > int64(unusedFor/time.Second) {
			delete(t.byID, id)
		}
	}
	in.id = int32(max(meta.Seq, 0))
	for in.id == 0 || meta.Seq <= 0 && t.byID[in.id] != nil {
		in.id = rand.Int32() //nolint:gosec // it tells instances apart and guards nothing
	}
	t.byID[in.id] = in
	return in
}

// configure turns a panic into an error: a bad configuration is the route's
// trouble, not the process's.
func configure(p Plugin, config []byte) (h Handler, err error) {
	defer func() {
		if v := recover(); v != nil {
			h, err = nil, fmt.Errorf("configuring panicked: %s", panicText(v))
		}
	}()
	h, err = p.Configure(config)
	if err == nil && h == nil {
		err = fmt.Errorf("no handler")
	}
	return h, err
}

// use finds an instance and marks it as used.
func (t *instances) use(id int32) *instance {
	t.mu.RLock()
	in := t.byID[id]
	t.mu.RUnlock()
	if in != nil {
		if now := t.now().Unix(); in.used.Load() != now {
			in.used.Store(now)
		}
	}
	return in
}

// close forgets an instance; events that run on it end in peace.
func (t *instances) close(id int32) {
	t.mu.Lock()
	delete(t.byID, id)
	t.mu.Unlock()
}

// misconfigured answers an event of an instance whose configuration is unusable.
func (in *instance) misconfigured(p *gateway.Phase) {
	if in.told.CompareAndSwap(false, true) {
		// The line is for the operator; a failed call shows in the phase.
		_ = p.Log(gateway.Err, in.name+": unusable configuration, every request gets 500: "+in.fault.Error())
	}
}
