package edgeapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/caller"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/meter"
	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

// Log reads the change log on the primary.
type Log interface {
	// ChangesAfter returns what a journal.Stream's Read does.
	ChangesAfter(ctx context.Context, after int64) (journal.Page, error)
}

// Options are what the edge API is made of.
type Options struct {
	Hub      *Hub
	Source   validator.Source // of records, from the primary
	Log      Log
	Gateways *gateways.Service
	Gate     caller.Gate
	Meter    *meter.Meter // hears what gateways tell of keys
	Now      func() time.Time
	// Lifetime is about how long a change stream is open, so that load balancers
	// get to spread them anew: 15 minutes where it is 0.
	Lifetime time.Duration
}

const (
	lifetime    = 15 * time.Minute
	callTimeout = 2 * time.Second
	// lookups is how many records are read at the same time for all gateways
	// together: half of the pool at most.
	lookups = 12
	// catchUps is how many listeners read the log at the same time.
	catchUps = 2
)

// edgeAPI holds what handlers use.
type edgeAPI struct {
	Options
	lookups  chan struct{}
	catchUps chan struct{}
}

// Register adds the edge API to a mux.
func Register(mux *http.ServeMux, o Options) {
	if o.Lifetime == 0 {
		o.Lifetime = lifetime
	}
	e := &edgeAPI{Options: o, lookups: make(chan struct{}, lookups), catchUps: make(chan struct{}, catchUps)}
	mux.Handle("POST "+wire.RecordsPath, e.guard(e.records))
	mux.Handle("GET "+wire.ChangesPath, e.guard(e.changes))
	mux.Handle("POST "+wire.HeartbeatPath, e.guard(e.heartbeat))
	mux.Handle("POST "+wire.UsagePath, e.guard(e.usage))
}

// handler serves a request of a gateway whose key is good, and says what was
// wrong with it.
type handler func(w http.ResponseWriter, r *http.Request, token apikey.Token) error

// guard lets through who speaks the protocol and holds edge:connect.
func (e *edgeAPI) guard(next handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(wire.Header, wire.Version)
		w.Header().Set("Cache-Control", "no-store")
		token, admitted, err := e.admit(r)
		if err == nil {
			err = next(w, admitted, token)
		}
		if err != nil {
			web.WriteProblem(w, r, web.ProblemOf(err))
		}
	})
}

func (e *edgeAPI) admit(r *http.Request) (apikey.Token, *http.Request, error) {
	token, err := e.Gate.Read(r)
	switch {
	case errors.Is(err, caller.ErrNone):
		return token, nil, caller.Missing()
	case err != nil:
		return token, nil, err
	}
	c, err := e.Gate.Of(r, token)
	if err != nil {
		return token, nil, err
	}
	r = caller.With(r, c)
	if !wire.Speaks(r.Header) {
		return token, nil, web.NewProblem(web.CodeMalformed).At("header."+wire.Header, "want %s", wire.Version)
	}
	return token, r, c.Require(access.EdgeConnect)
}

// read reads a message. Members that are not known are ignored: they are a newer
// gateway's.
func read(w http.ResponseWriter, r *http.Request, message any) error {
	body, p := web.ReadJSON(w, r)
	if p != nil {
		return p
	}
	if err := json.Unmarshal(body, message); err != nil {
		return fault.Wrap(err, fault.Invalid, "a member of the message has another type than it should")
	}
	return nil
}

func write(w http.ResponseWriter, answer any) error {
	encoded, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(encoded)))
	_, _ = w.Write(encoded) // the gateway may be gone
	return nil
}

// heartbeat notes how far a gateway got.
func (e *edgeAPI) heartbeat(w http.ResponseWriter, r *http.Request, _ apikey.Token) error {
	err := e.beat(w, r)
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	e.Hub.metrics.heartbeats.WithLabelValues(outcome).Inc()
	return err
}

func (e *edgeAPI) beat(w http.ResponseWriter, r *http.Request) error {
	var h wire.Heartbeat
	if err := read(w, r, &h); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	g, err := gateways.Parse(h.Gateway, h.Position, address(r))
	switch {
	case err != nil:
		return err
	case h.Leaving:
		err = e.Gateways.Leave(ctx, web.CallerOf(ctx), g.Instance)
	default:
		err = e.Gateways.Seen(ctx, web.CallerOf(ctx), g)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// address is where a gateway calls from, "" where that is not known.
func address(r *http.Request) string {
	if addr := web.ClientAddr(r); addr.IsValid() {
		return addr.String()
	}
	return ""
}
