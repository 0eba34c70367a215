package app

import (
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latchkey/latchkey/controlplane/internal/postgres"
)

// opsHandler is the listener for probes and figures, which no client reaches.
func (a *App) opsHandler() http.Handler {
	mux := http.NewServeMux()
	a.probes(mux)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{Timeout: writeTimeout / 2}))
	return mux
}

// probes say whether the process lives and whether it wants requests. Trouble
// with the database shows in the figures instead: a replica that cannot reach
// it still answers from its cache, and just then must not leave the pool.
func (a *App) probes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if a.ready.Load() {
			answer(w, http.StatusOK, "ready\n")
			return
		}
		answer(w, http.StatusServiceUnavailable, "not ready\n")
	})
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the prober may be gone
}

// poolFigures are the figures of the connection pool.
func poolFigures(db *postgres.DB) prometheus.Collector {
	figures := prometheus.NewRegistry()
	gauge := func(name, help string, value func() float64) {
		figures.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("latchkey_postgres_connections", "Open connections to PostgreSQL.", func() float64 { return float64(db.Stat().TotalConns()) })
	gauge("latchkey_postgres_connections_in_use", "Connections in use.", func() float64 { return float64(db.Stat().AcquiredConns()) })
	gauge("latchkey_postgres_waits_total", "How often a connection was waited for.", func() float64 { return float64(db.Stat().EmptyAcquireCount()) })
	return figures
}
