package edgeapi

import (
	"github.com/prometheus/client_golang/prometheus"
)

// end is why a stream ended, as a label.
type end string

// The ends of a stream.
const (
	endClosed   end = "shutdown" // this replica shuts down
	endSlow     end = "slow"     // it fell out of the ring, or a write took too long
	endKey      end = "key"      // its key is no longer good
	endLifetime end = "lifetime" // it was open long enough
	endLog      end = "log"      // the change log could not be read
	endGone     end = "gone"     // the gateway left
)

// metrics are the figures of the edge API. Labels come from closed sets.
type metrics struct {
	listeners  prometheus.Gauge
	lag        prometheus.Histogram
	ends       *prometheus.CounterVec
	catchUps   prometheus.Counter
	heartbeats *prometheus.CounterVec
	records    *prometheus.CounterVec
}

func newMetrics() *metrics {
	name := func(n, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "latchkey", Subsystem: "edgeapi", Name: n, Help: help}
	}
	return &metrics{
		listeners: prometheus.NewGauge(prometheus.GaugeOpts(name("listeners", "Change streams that are open."))),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "latchkey", Subsystem: "edgeapi", Name: "queue_changes",
			Help: "Numbers by which a listener was behind when it took the next changes.", Buckets: prometheus.ExponentialBuckets(1, 8, 6),
		}),
		ends:       prometheus.NewCounterVec(prometheus.CounterOpts(name("stream_ends_total", "Change streams that ended, by cause; slow: cut off.")), []string{"cause"}),
		catchUps:   prometheus.NewCounter(prometheus.CounterOpts(name("log_reads_total", "Pages of the change log that were read for one listener that was behind."))),
		heartbeats: prometheus.NewCounterVec(prometheus.CounterOpts(name("heartbeats_total", "Heartbeats, by outcome.")), []string{"outcome"}),
		records:    prometheus.NewCounterVec(prometheus.CounterOpts(name("records_total", "Fingerprints that were asked for, by outcome.")), []string{"outcome"}),
	}
}

// behind notes how far a listener was behind.
func (m *metrics) behind(numbers int64) { m.lag.Observe(float64(max(0, numbers))) }

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.listeners, m.lag, m.ends, m.catchUps, m.heartbeats, m.records}
}

// Describe implements prometheus.Collector.
func (h *Hub) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range h.metrics.all() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector: the figures of the whole edge API.
func (h *Hub) Collect(ch chan<- prometheus.Metric) {
	for _, c := range h.metrics.all() {
		c.Collect(ch)
	}
}
