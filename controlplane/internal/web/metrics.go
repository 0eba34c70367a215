package web

import (
	"net/http"

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

// measured observes every request, probes too.
func measured(next http.Handler, o *Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := o.Now()
		x := exchangeOf(r.Context())
		defer func() {
			class := statusClasses[0]
			if i := x.response.status / 100; i < len(statusClasses) {
				class = statusClasses[i]
			}
			o.Metrics.duration.WithLabelValues(routeLabel(r), methodLabel(r.Method), class).Observe(o.Now().Sub(start).Seconds())
		}()
		next.ServeHTTP(w, r)
	})
}
