package validator

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/shared/apikey"
)

// gather returns every sample by its name and label values.
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "latchkey_validator_")
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			samples[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return samples
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.want(1, apikey.Valid, "first", 1)
		w.want(1, apikey.Valid, "first", 0)
		w.want(10, apikey.KeyNotFound, "", 1)
		w.want(10, apikey.KeyNotFound, "", 0)
		w.Apply(Change{Number: w.rename(1, "second"), IDs: []string{"key_1"}})
		w.want(1, apikey.Valid, "first", 1)
		w.source.onLookup(away)
		w.want(2, apikey.Undecided, "", 1)
		w.hear()
		time.Sleep(2 * time.Second)
		got := gather(t, w.Validator)
		for name, want := range map[string]float64{
			"verdicts_total VALID": 3, "verdicts_total KEY_NOT_FOUND": 2, "verdicts_total UNDECIDED": 1,
			"verdicts_total REVOKED": 0,
			"answers_total record":   1, "answers_total old_record": 1,
			"answers_total none": 1, "answers_total lookup": 3,
			"lookups_total found": 2, "lookups_total none": 1, "lookups_total error": 1, "lookups_total panic": 0,
			"undecided_total source": 1, "undecided_total needs": 0,
			"cache_entries record": 1, "cache_entries none": 1, "waiting": 0,
			"feed_age_seconds": 2, "feed_number": 1,
		} {
			if got[name] != want {
				t.Errorf("%s: got %v, want %v", name, got[name], want)
			}
		}
		for name := range got {
			if strings.Contains(name, "key_") || strings.Contains(name, print(1).String()) {
				t.Errorf("%s names a key", name)
			}
		}
	})
}

func TestTheFeedsAgeBeforeItIsHeard(t *testing.T) {
	t.Parallel()
	v, err := New(Config{Source: &fakeSource{}, Now: time.Now, CacheMB: 1})
	if err != nil {
		t.Fatal(err)
	}
	if age := gather(t, v)["feed_age_seconds"]; !math.IsInf(age, 1) {
		t.Errorf("got %v", age)
	}
}
