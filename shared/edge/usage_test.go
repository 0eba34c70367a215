package edge

import (
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/meter"
	"github.com/latchkey/latchkey/shared/wire"
)

// desk takes usage in, once it is open.
type desk struct {
	mu     sync.Mutex
	status int
	calls  int
	told   []wire.KeyUse
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var u wire.Usage
	err := json.UnmarshalRead(r.Body, &u)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.status == http.StatusNoContent && err == nil {
		d.told = append(d.told, u.Uses...)
	}
	if d.status == http.StatusNotFound {
		w.Header().Del(wire.Header) // nothing there knows of the protocol
	}
	w.WriteHeader(d.status)
}

func (d *desk) answer(status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status = status
}

func (d *desk) asked() (calls int, told []wire.KeyUse) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls, d.told
}

// What is admitted is told of; where it was not taken, once more; and the rest
// when the process ends.
func TestUsesAreToldOf(t *testing.T) {
	t.Parallel()
	d := &desk{status: http.StatusServiceUnavailable}
	c := newControlPlane(t, func(c *controlPlane) { c.usage = d.ServeHTTP })
	from := netip.MustParseAddr("192.0.2.9")
	var last time.Time
	t.Cleanup(func() { // after the edge has ended
		if _, told := d.asked(); len(told) != 2 || told[1].LastUsedAt.Before(last) || told[1].LastUsedAt.Sub(last) > time.Second || told[1].LastUsedIP != from {
			t.Errorf("told of %+v, want the last of %v", told, last)
		}
	})
	clock := &moved{}
	e := run(t, func(c *Config) { c.Now = clock.now }, c.URL)
	use := func() {
		eventually(t, "the key is admitted", func() bool {
			last = clock.now()
			v := e.Validator().Validate(t.Context(), &apikey.Request{Fingerprint: apikey.FingerprintOf("key"), Kind: apikey.KindAPI, IP: from})
			return v.Code == apikey.Valid
		})
	}
	use()
	eventually(t, "it was not taken twice", func() bool { calls, _ := d.asked(); return calls >= 2 })
	d.answer(http.StatusNoContent)
	eventually(t, "it is taken", func() bool { _, told := d.asked(); return len(told) == 1 })
	clock.ahead(2 * time.Second) // less than the feed may be silent for
	use()
}

// A control plane that has no such call is not asked twice about the same, and
// nothing else suffers.
func TestAnOlderControlPlaneIsNotTold(t *testing.T) {
	t.Parallel()
	d := &desk{status: http.StatusNotFound}
	c := newControlPlane(t, func(c *controlPlane) { c.usage = d.ServeHTTP })
	e := run(t, nil, c.URL)
	eventually(t, "the key is admitted", func() bool { return judge(t, e, 1) == apikey.Valid })
	eventually(t, "it was told", func() bool { calls, _ := d.asked(); return calls == 1 })
	left, err := e.reportUses(t.Context(), []meter.Use{{KeyID: "key_1", At: time.Now()}})
	if len(left) != 0 || err != nil {
		t.Errorf("left %v: %v", left, err)
	}
	d.answer(http.StatusForbidden)
	if _, err := e.reportUses(t.Context(), []meter.Use{{KeyID: "key_1", At: time.Now()}}); err == nil {
		t.Error("what was refused counts as taken")
	}
	if code := judge(t, e, 1); code != apikey.Valid {
		t.Errorf("the key is %s", code)
	}
}
