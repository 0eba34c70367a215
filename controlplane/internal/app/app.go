package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/latchkey/latchkey/controlplane/internal/api"
	"github.com/latchkey/latchkey/controlplane/internal/caller"
	"github.com/latchkey/latchkey/controlplane/internal/docs"
	"github.com/latchkey/latchkey/controlplane/internal/doors"
	"github.com/latchkey/latchkey/controlplane/internal/edgeapi"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/records"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/meter"
	"github.com/latchkey/latchkey/shared/validator"
)

const (
	maxInFlight   = 4096
	maxHeader     = 32 << 10
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 10 * time.Second
)

// App is one replica of the control plane.
type App struct {
	*Core
	log       *slog.Logger
	source    *records.Source
	validator *validator.Validator
	meter     *meter.Meter
	follower  *journal.Follower
	hub       *edgeapi.Hub
	gateways  *gateways.Service
	peers     *peers
	registry  *prometheus.Registry
	ready     atomic.Bool

	main, ops       *http.Server
	mainAt, opsAt   net.Listener
	listenersClosed sync.Once
}

// New acquires everything that a replica needs, its listeners included, and
// serves nothing yet.
func New(ctx context.Context, o Options) (_ *App, err error) {
	o.Own = true
	core, err := OpenCore(ctx, o)
	if err != nil {
		return nil, err
	}
	a := &App{Core: core, log: o.Log, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := a.ensureAdmin(ctx); err != nil {
		return nil, err
	}
	c := &a.Config
	a.meter = meter.New(o.Now)
	a.source = records.NewSource(a.DB.Records(), a.Peppers)
	a.validator, err = validator.New(validator.Config{
		Source: a.source, Now: o.Now, Meter: a.meter,
		CacheMB: int(c.AuthCacheMB), StaleBudget: c.StalenessBudget(),
		MissRate: float64(c.MissBudget.PerSecond), MissBurst: c.MissBudget.Burst,
	})
	if err != nil {
		return nil, err
	}
	a.closing(a.validator.Close)
	told := newFeed(a.validator, a.Prefixes)
	a.peers = newPeers(a.DB.Say, o.Now)
	a.serving.Store(&hearing{feed: told, peers: a.peers})
	a.hub, a.gateways = edgeapi.NewHub(o.Now), gateways.New(a.DB.Gateways(), o.Now)
	a.follower = journal.NewFollower(a.DB, a.feedFailed, told, a.Settings, a.hub, a.peers)
	a.registry.MustRegister(a.validator, a.meter, a.hub, a.peers.figure(), poolFigures(a.DB), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	handler, err := a.handler(o, told)
	if err != nil {
		return nil, err
	}
	a.main, a.ops = server(handler), server(a.opsHandler())
	a.main.RegisterOnShutdown(a.hub.Close) // streams do not end by themselves
	return a, a.listen(ctx)
}

// handler is everything on the main listener.
func (a *App) handler(o Options, told *feed) (http.Handler, error) {
	c, mux, signIn := &a.Config, http.NewServeMux(), a.newIdentity(o.Now)
	a.registry.MustRegister(signInFigures(signIn))
	config := api.Config{
		Services: api.Services{Keys: a.Keys, Users: a.Users, Plans: a.Plans, Limits: a.Limits, Subscriptions: a.Subscriptions, Audit: a.Audit, Identity: signIn, Gateways: a.gateways, Overview: a.newOverview(o.Now), Settings: a.Settings},
		Judge:    a.validator, Setup: a.Bootstrap, Prefixes: told.Prefixes, Now: o.Now,
		Version: o.Version, PublicURL: string(c.PublicURL), CookieSecure: c.CookieSecure,
	}
	document := api.New(mux, config)
	doors.Register(mux, doors.Options{
		Judge: a.validator, Prefixes: told.Prefixes, Registry: a.registry, Now: o.Now, Offers: a.Plans,
		Explainer: records.NewExplainer(a.DB.Records(), a.Peppers, o.Now), Guard: api.Guard(config),
	})
	doors.Describe(document, documentSecurity)
	edgeapi.Register(mux, edgeapi.Options{
		Hub: a.hub, Source: a.source, Log: a.DB, Gateways: a.gateways, Meter: a.meter, Now: o.Now,
		Gate: caller.Gate{Judge: a.validator, Prefixes: told.Prefixes},
	})
	if err := docs.Register(mux); err != nil {
		return nil, err
	}
	a.probes(mux)
	return web.Chain(mux, web.Options{
		Log: o.Log, Metrics: web.NewMetrics(a.registry), Now: o.Now,
		TrustedProxies: c.TrustedProxies, CORSOrigins: c.CORSOrigins, PublicURL: string(c.PublicURL), MaxInFlight: maxInFlight,
	}), nil
}

func server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // broken connections; panics are recovered before
	}
}

// listen takes both addresses, so that a taken one is known before anything is
// served.
func (a *App) listen(ctx context.Context) (err error) {
	if a.mainAt, err = take(ctx, string(a.Config.Listen), "LATCHKEY_LISTEN"); err != nil {
		return err
	}
	a.closing(func(context.Context) error { a.closeListeners(); return nil })
	a.opsAt, err = take(ctx, string(a.Config.OpsListen), "LATCHKEY_OPS_LISTEN")
	return err
}

func take(ctx context.Context, address, variable string) (net.Listener, error) {
	at, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fault.Wrap(err, fault.Conflict, "the address %s is taken", address).WithFix("set %s to a free one", variable)
	case err != nil:
		return nil, fault.Wrap(err, fault.Invalid, "cannot listen on %s", address).WithFix("set %s to an address of this machine", variable)
	}
	return at, nil
}

func (a *App) closeListeners() {
	a.listenersClosed.Do(func() {
		for _, l := range []net.Listener{a.mainAt, a.opsAt} {
			if l != nil {
				_ = l.Close() // a served one is closed already
			}
		}
	})
}

// Addr is where the main listener is, OpsAddr where probes and figures are.
func (a *App) Addr() string { return a.mainAt.Addr().String() }

// OpsAddr is where probes and figures are.
func (a *App) OpsAddr() string { return a.opsAt.Addr().String() }

// Run serves until ctx ends or a listener fails, and lets requests that are
// being served finish for up to ten seconds.
func (a *App) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	running.Go(func() { a.follower.Run(ctx) })
	running.Go(func() { a.peers.run(ctx) })
	running.Go(func() { headLog{read: a.DB.Head, log: a.log}.run(ctx) })
	running.Go(func() { a.gateways.Keep(ctx, a.keepingFailed) })
	running.Go(func() { a.Keys.Keep(ctx, a.sweepingFailed) })
	running.Go(func() { a.Subscriptions.Keep(ctx, a.changingFailed) })
	metering, served := context.WithCancel(context.WithoutCancel(ctx)) // until the last request was served
	running.Go(func() { a.meter.Run(metering, a.Keys.NoteUses, a.notingFailed) })
	running.Go(func() { cancel(a.keepDatabase(ctx)) })
	for _, s := range []struct {
		server *http.Server
		at     net.Listener
	}{{a.main, a.mainAt}, {a.ops, a.opsAt}} {
		running.Go(func() {
			if err := s.server.Serve(s.at); !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("serve %s: %w", s.at.Addr(), err))
			}
		})
	}
	a.ready.Store(true)
	<-ctx.Done()
	a.ready.Store(false)
	err := a.drain(ctx)
	served()
	running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// drain stops both servers; probes go last, so that they tell of the draining.
func (a *App) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	var errs []error
	for _, s := range []*http.Server{a.main, a.ops} {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("requests were cut off: %w", err), s.Close())
		}
	}
	return errors.Join(errs...)
}

// keepDatabase starts the private PostgreSQL again when it ended by itself, and
// returns when ctx ends or it does not come back. A database of the operator's
// is the operator's to keep.
func (a *App) keepDatabase(ctx context.Context) error {
	for {
		var ended <-chan struct{} // never, with DATABASE_URL
		if a.private != nil {
			ended = a.private.Done()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
		}
		a.log.Error("the private PostgreSQL ended by itself and is started again", "log", a.PrivateDir()+"/server.log")
		if err := a.private.Restart(ctx); err != nil {
			return fmt.Errorf("the private PostgreSQL does not start again: %w", err)
		}
	}
}

func (a *App) keepingFailed(err error) {
	a.log.Warn("the change log and the list of gateways are not tidied for now", "cause", err.Error())
}

func (a *App) sweepingFailed(err error) {
	a.log.Warn("what is kept of keys only for a while is not removed for now; keys are judged as ever", "cause", err.Error())
}

func (a *App) changingFailed(err error) {
	a.log.Warn("scheduled changes of plan are not made for now; keys are judged under the plan they are on", "cause", err.Error())
}

func (a *App) notingFailed(err error) {
	a.log.Warn("the last uses of keys are not written for now, and are kept in memory", "cause", err.Error())
}

func (a *App) feedFailed(err error) {
	a.log.Warn("the change feed is interrupted; cached keys are used within the staleness budget", "cause", err.Error())
}
