package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latchkey/latchkey/plugin/access"
	"github.com/latchkey/latchkey/plugin/config"
	"github.com/latchkey/latchkey/plugin/server"
	"github.com/latchkey/latchkey/shared/edge"
	"github.com/latchkey/latchkey/shared/validator"
)

// process is what all routes share. It is opened by the first who needs it, so
// that -dump reads no configuration.
type process struct {
	open func() (*opened, error) // once
}

// opened is a process whose configuration is right.
type opened struct {
	config config.Config
	edge   *edge.Edge
	gate   *access.Gate
	log    *slog.Logger
}

func newProcess() *process { return &process{open: sync.OnceValues(open)} }

// open reads the configuration and makes the edge. It starts nothing. The error
// is one line that names everything that is wrong.
func open() (*opened, error) {
	c, err := config.Load(config.Sources{Environ: os.Environ(), ReadFile: os.ReadFile, Hostname: os.Hostname})
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	why := &trouble{now: time.Now, log: log}
	e, err := edge.New(edge.Config{
		URLs: c.URLs, AllowHTTP: c.AllowHTTP, CAFile: c.CAFile,
		Token: c.Token.Reveal(), TokenFile: c.TokenFile,
		Gateway: c.Gateway, Version: version,
		Validator: validator.Config{CacheMB: c.CacheMB, StaleBudget: c.StaleBudget},
		Now:       time.Now, Failed: why.failed,
		Snapshot: c.Snapshot, Note: why.snapshot,
	})
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	gate := &access.Gate{Judge: e.Validator(), Prefixes: e.Prefixes, Heard: e.Heard(), Trouble: why.line}
	return &opened{config: c, edge: e, gate: gate, log: log}, nil
}

// configure makes a route's handler. Where the process cannot work, that is what
// is wrong with every route: each answers 500, and Kong's log has the reason.
func (p *process) configure(policy []byte) (server.Handler, error) {
	o, err := p.open()
	if err != nil {
		return nil, fmt.Errorf("environment and LATCHKEY_CONFIG: %w", err)
	}
	return o.gate.Configure(policy)
}

// run follows the control plane until ctx ends. A configuration that is wrong is
// left to configure, which tells of it where it can be seen.
func (p *process) run(ctx context.Context) error {
	o, err := p.open()
	if err != nil {
		return err
	}
	var beside sync.WaitGroup
	if o.config.MetricsListen != "" {
		beside.Go(func() {
			if err := o.serveMetrics(ctx); err != nil { // keys are judged without them too
				o.log.Error("no metrics", "error", err)
			}
		})
	}
	err = o.edge.Run(ctx)
	beside.Wait()
	return err
}

// serveMetrics answers /metrics and /healthz until ctx ends.
func (o *opened) serveMetrics(ctx context.Context) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(o.edge, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.config.MetricsListen)
	if err != nil {
		return fmt.Errorf("LATCHKEY_METRICS_LISTEN: %w", err)
	}
	s := &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
