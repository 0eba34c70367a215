package web

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the figures of served requests. Its labels come from closed sets:
// route templates, known methods, status classes.
type Metrics struct{ duration *prometheus.HistogramVec }

// NewMetrics registers the figures.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "latchkey_http_request_duration_seconds",
		Help:    "Time from the first byte of a request's header to the end of its handler.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"route", "method", "status"})}
	registry.MustRegister(m.duration)
	return m
}

var statusClasses = [...]string{"other", "1xx", "2xx", "3xx", "4xx", "5xx"}

func (m *Metrics) observe(r *http.Request, status int, took time.Duration) {
	class := statusClasses[0]
	if i := status / 100; i < len(statusClasses) {
		class = statusClasses[i]
	}
	m.duration.WithLabelValues(routeLabel(r), methodLabel(r.Method), class).Observe(took.Seconds())
}
