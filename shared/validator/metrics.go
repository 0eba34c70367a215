package validator

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/shared/apikey"
)

// origin is where a verdict came from.
type origin uint8

const (
	fromRecord    origin = iota // a cached record
	fromOldRecord               // a cached record that is being renewed
	fromNone                    // a cached "no such key"
	fromLookup                  // the Source, or nowhere
	origins
)

var originNames = [origins]string{"record", "old_record", "none", "lookup"}

// cause is why there was no decision.
type cause uint8

const (
	decided  cause = iota
	bySource       // the Source failed or took too long
	byBudget       // the client's network spent its look-ups
	byBusy         // too many wait already, or the validator is closed
	byChange       // changes overtook every attempt
	byNeeds        // the record asks for a check that this build does not know
	byCaller       // the caller left
	causes
)

var causeNames = [causes]string{"", "source", "budget", "busy", "stale", "needs", "canceled"}

// refusal is why a look-up decided nothing, and when another may, where that is
// known. Its zero value is no refusal.
type refusal struct {
	cause cause
	wait  time.Duration
}

// lookupOutcome is how a look-up ended.
type lookupOutcome uint8

const (
	lookupFound lookupOutcome = iota
	lookupNone
	lookupError
	lookupTimeout
	lookupPanic
	lookupOutcomes
)

var lookupOutcomeNames = [lookupOutcomes]string{"found", "none", "error", "timeout", "panic"}

// stripes spreads the counters of the hot path over cache lines by fingerprint.
const stripes = 16

// metrics counts. A verdict costs one atomic addition, on a line that it shares
// with few other keys.
type metrics struct {
	verdicts [stripes]struct {
		by [origins][apikey.Valid + 1]atomic.Uint64
		_  [64]byte
	}
	undecided [causes]atomic.Uint64
	lookups   [lookupOutcomes]atomic.Uint64
}

func (m *metrics) verdict(stripe byte, from origin, code apikey.Code) {
	m.verdicts[stripe%stripes].by[from][code].Add(1)
}

func (m *metrics) lookedUp(f *flight) {
	outcome := lookupNone
	switch {
	case f.err == nil && f.entry.found:
		outcome = lookupFound
	case f.err == nil:
	case errors.As(f.err, new(spent)):
		return // the Source was not asked
	case errors.Is(f.err, errPanicked):
		outcome = lookupPanic
	case errors.Is(f.err, context.DeadlineExceeded):
		outcome = lookupTimeout
	default:
		outcome = lookupError
	}
	m.lookups[outcome].Add(1)
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("latchkey_validator_"+name, help, labels, nil)
}

var (
	verdictsDesc  = desc("verdicts_total", "Verdicts by code.", "code")
	answersDesc   = desc("answers_total", "Verdicts by where they came from: a cached record, one that is being renewed, a cached \"no such key\", or a look-up.", "origin")
	undecidedDesc = desc("undecided_total", "Requests that could not be decided, by cause.", "cause")
	lookupsDesc   = desc("lookups_total", "Look-ups by outcome.", "outcome")
	waitingDesc   = desc("waiting", "Requests that wait for a look-up.")
	entriesDesc   = desc("cache_entries", "Cached answers.", "kind")
	bytesDesc     = desc("cache_bytes", "Memory taken for cached answers.", "kind")
	feedAgeDesc   = desc("feed_age_seconds", "Time since the change feed was last known to be whole; +Inf before the first time.")
	feedHeadDesc  = desc("feed_number", "Change number up to which the feed is whole.")
)

// Describe implements prometheus.Collector.
func (v *Validator) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(v, ch) }

// Collect implements prometheus.Collector.
func (v *Validator) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	byCode, byOrigin := v.metrics.sums()
	for code, n := range byCode {
		count(verdictsDesc, n, apikey.Code(code).String())
	}
	for from, n := range byOrigin {
		count(answersDesc, n, originNames[from])
	}
	for why := decided + 1; why < causes; why++ {
		count(undecidedDesc, v.metrics.undecided[why].Load(), causeNames[why])
	}
	for how := range v.metrics.lookups {
		count(lookupsDesc, v.metrics.lookups[how].Load(), lookupOutcomeNames[how])
	}
	gauge(waitingDesc, float64(v.waiting.Load()))
	gauge(entriesDesc, float64(v.known.entries.Len()), "record")
	gauge(entriesDesc, float64(v.unknown.entries.Len()), "none")
	gauge(bytesDesc, float64(v.known.entries.Capacity()), "record")
	gauge(bytesDesc, float64(v.unknown.entries.Capacity()), "none")
	era, age := v.era.Load(), math.Inf(1)
	if heard := era.heard.Load(); heard != never {
		age = time.Duration(v.clock() - heard).Seconds()
	}
	gauge(feedAgeDesc, age)
	gauge(feedHeadDesc, float64(era.head.Load()))
}

func (m *metrics) sums() (byCode [apikey.Valid + 1]uint64, byOrigin [origins]uint64) {
	for s := range m.verdicts {
		for from := range origins {
			for code := range byCode {
				n := m.verdicts[s].by[from][code].Load()
				byCode[code] += n
				byOrigin[from] += n
			}
		}
	}
	return byCode, byOrigin
}
