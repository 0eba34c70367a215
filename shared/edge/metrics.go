package edge

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/shared/wire"
)

// The calls, as a label.
const (
	callRecords   = "records"
	callHeartbeat = "heartbeat"
	callUsage     = "usage"
)

// counts are the figures of an edge. Labels come from closed sets.
type counts struct {
	calls     *prometheus.CounterVec
	ends      *prometheus.CounterVec
	changes   prometheus.Counter
	resets    prometheus.Counter
	connected prometheus.Gauge
	loaded    prometheus.Gauge
	kept      prometheus.Gauge
	heard     prometheus.Gauge
	saves     *prometheus.CounterVec
}

func newCounts() *counts {
	name := func(n, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "latchkey", Subsystem: "edge", Name: n, Help: help}
	}
	return &counts{
		calls:     prometheus.NewCounterVec(prometheus.CounterOpts(name("calls_total", "Calls to the control plane, by outcome.")), []string{"call", "outcome"}),
		ends:      prometheus.NewCounterVec(prometheus.CounterOpts(name("feed_ends_total", "Change streams that ended, by cause.")), []string{"cause"}),
		changes:   prometheus.NewCounter(prometheus.CounterOpts(name("changes_total", "Changes that were applied."))),
		resets:    prometheus.NewCounter(prometheus.CounterOpts(name("resets_total", "Times that everything cached was forgotten."))),
		connected: prometheus.NewGauge(prometheus.GaugeOpts(name("feed_connected", "1 while a change stream is open."))),
		loaded:    prometheus.NewGauge(prometheus.GaugeOpts(name("snapshot_loaded_records", "Records that were taken from the snapshot at the start."))),
		kept:      prometheus.NewGauge(prometheus.GaugeOpts(name("snapshot_records", "Records in the last snapshot that was saved."))),
		heard:     prometheus.NewGauge(prometheus.GaugeOpts(name("snapshot_timestamp_seconds", "When the change feed was last heard before the last snapshot was saved; from then on its age counts."))),
		saves:     prometheus.NewCounterVec(prometheus.CounterOpts(name("snapshot_saves_total", "Attempts to save a snapshot, by outcome.")), []string{"outcome"}),
	}
}

func (c *counts) call(call string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = causeOf(err)
	}
	c.calls.WithLabelValues(call, outcome).Inc()
}

func (c *counts) saved(w *snapWriter, p *preamble, err error) {
	if err != nil {
		c.saves.WithLabelValues("failed").Inc()
		return
	}
	c.saves.WithLabelValues("ok").Inc()
	c.kept.Set(float64(w.records))
	c.heard.Set(float64(p.Saved-int64(p.Heard)) / 1e9)
}

func (c *counts) ended(err error) { c.ends.WithLabelValues(causeOf(err)).Inc() }

// causeOf names what went wrong.
func causeOf(err error) string {
	_, refused := errors.AsType[statusError](err)
	switch {
	case refused && !errors.Is(err, errStranger):
		return "refused"
	case errors.Is(err, errNoToken):
		return "token"
	case errors.Is(err, errSilent):
		return "silent"
	case errors.Is(err, errSnapHeld):
		return "snapshot"
	case errors.Is(err, errHistory):
		return "history"
	case errors.Is(err, wire.ErrEvent), errors.Is(err, errStranger), errors.Is(err, errTooLarge), errors.Is(err, errMiscounted):
		return "garbage"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, errEnded):
		return "ended"
	}
	return "unreachable"
}

func (c *counts) all() []prometheus.Collector {
	return []prometheus.Collector{c.calls, c.ends, c.changes, c.resets, c.connected, c.loaded, c.kept, c.heard, c.saves}
}
