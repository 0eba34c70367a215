package meter

import "github.com/prometheus/client_golang/prometheus"

// figures count what became of uses. They are guarded by the Meter's lock.
type figures struct {
	handed, left, lost uint64
}

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("latchkey_meter_"+name, help, nil, nil)
}

var (
	keysDesc    = desc("keys", "Keys whose last use is kept, handed on or not.")
	waitingDesc = desc("waiting", "Keys whose last use is to be handed on.")
	handedDesc  = desc("handed_total", "Last uses that were handed on.")
	leftDesc    = desc("left_total", "Last uses that were not taken, and are handed on once more.")
	lostDesc    = desc("lost_total", "Uses that there was no room to note.")
)

// Describe implements prometheus.Collector.
func (m *Meter) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *Meter) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	f, keys, waiting := m.figures, len(m.uses), len(m.waiting)
	m.mu.Unlock()
	for d, n := range map[*prometheus.Desc]int{keysDesc: keys, waitingDesc: waiting} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	for d, n := range map[*prometheus.Desc]uint64{handedDesc: f.handed, leftDesc: f.left, lostDesc: f.lost} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n))
	}
}
