package kongtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	kpp "github.com/Kong/go-pdk/server/kong_plugin_protocol"
)

// Route is a route that enables the plugin: one configuration, with an instance
// in every worker that served it a request.
type Route struct {
	k      *Kong
	id     string
	fields atomic.Pointer[map[string]any]
}

// Outcome is what became of one request.
type Outcome struct {
	// Allowed says that the request goes to the upstream, with the headers
	// Upstream and the query Query.
	Allowed  bool
	Upstream Headers
	Query    string
	// Status and Body are the answer that Kong gave in the upstream's place;
	// Headers are those of the client's answer, in both cases.
	Status  int
	Body    []byte
	Headers Headers
	// Calls are the plugin's calls in order, over all replays.
	Calls   []string
	Replays int // how often the event was repeated on a closed connection
	// Caller is what the plugin authenticated for Kong's other plugins.
	Caller Caller
	// Err is why Kong itself answered 500, nil otherwise.
	Err error
}

// Caller is the consumer and credential given to kong.client.authenticate.
type Caller struct{ ConsumerID, Username, CustomID, CredentialID string }

// ErrReplays says that an event was repeated more often than Config.Replays:
// Kong would go on for ever.
var ErrReplays = errors.New("the event is repeated without end")

// Route makes a route with that plugin configuration, anything that marshals to
// a JSON object. It fails the test where Kong would refuse the configuration.
func (k *Kong) Route(config any) *Route {
	k.t.Helper()
	r := &Route{k: k, id: fmt.Sprintf("00000000-0000-4000-8000-%012x", k.routes.Add(1))}
	r.Configure(config)
	return r
}

// Configure changes the configuration; as with every change of Kong's, all
// instances of all routes are started anew on their next request.
func (r *Route) Configure(config any) {
	r.k.t.Helper()
	fields, err := r.k.dump.normal(config)
	if err != nil {
		r.k.t.Fatalf("Kong would refuse the configuration: %v", err)
	}
	r.fields.Store(&fields)
	r.k.RestartInstances()
}

// config is what start_instance carries: the fields that are set and those that
// plugins_iterator.lua adds.
func (r *Route) config(seq int64) []byte {
	m := map[string]any{
		"route_id":    r.id,
		"__plugin_id": "11111111" + r.id[8:],
		"__ws_id":     "22222222-2222-4222-8222-222222222222",
		"__key__":     "plugins:" + r.k.dump.Plugins[0].Name + ":" + r.id + "::::",
		"__seq__":     seq,
	}
	for name, v := range *r.fields.Load() {
		m[name] = v
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // it came from JSON
	}
	return b
}

// Access puts one request through the access phase. The error is the harness's:
// ctx ended, or ErrReplays. Whatever the plugin does to the request shows in
// the Outcome.
func (r *Route) Access(ctx context.Context, req Request) (Outcome, error) {
	k := r.k
	w := k.worker(req.Worker)
	req = req.withDefaults()
	req.Headers = slices.Clone(req.Headers)
	p := &phase{k: k, req: req}
	p.out.Calls = make([]string, 0, 4)
	for {
		err := w.event(ctx, r, p)
		if ctx.Err() != nil {
			return p.out, ctx.Err()
		}
		switch {
		case err == nil:
			p.out.Allowed, p.out.Upstream, p.out.Query = true, p.req.Headers.hopByHop(req.connectionNames()), p.req.Query
		case errors.Is(err, errExit):
		case errors.Is(err, errClosed) && !errors.Is(err, errStarting):
			w.drop()
			k.resetInstances()
			k.logs.add("warn", "closed")
			if p.out.Replays++; p.out.Replays <= k.cfg.Replays {
				continue
			}
			return p.out, ErrReplays
		default:
			p.unexpected(err)
		}
		p.out.Headers = p.response
		return p.out, nil
	}
}

// errStarting marks a failure before the event: an error in Lua, not repeated.
var errStarting = errors.New("no instance")

func (w *worker) event(ctx context.Context, r *Route, p *phase) error {
	id, err := w.instance(ctx, r)
	if err != nil {
		return fmt.Errorf("%w: %w", errStarting, err)
	}
	_, err = w.call(ctx, p, &kpp.RpcCall{Call: &kpp.RpcCall_CmdHandleEvent{
		CmdHandleEvent: &kpp.CmdHandleEvent{InstanceId: id, EventName: "access"},
	}})
	return err
}
