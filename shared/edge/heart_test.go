package edge

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/wire"
)

// An applied change that asks for it is confirmed at once, many by one, and the
// goodbye is the last that is said.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	c := newControlPlane(t, nil)
	t.Run("while it runs", func(t *testing.T) {
		e := run(t, nil, c.URL)
		eventually(t, "the first heartbeat", func() bool { return c.beats.Load() > 0 })
		before := c.beats.Load()
		for n := range int64(50) {
			c.events <- event(wire.EventChange, n+2, wire.Change{IDs: []string{"key_1"}, Kind: wire.Forget, Ack: true})
		}
		began := time.Now()
		eventually(t, "all are confirmed", func() bool { return c.last.Load().After == 51 })
		if took := time.Since(began); took > time.Second { // far below the interval
			t.Errorf("it took %s", took)
		}
		if n := c.beats.Load() - before; n > 25 {
			t.Errorf("%d heartbeats for 50 changes", n)
		}
		if h := c.last.Load(); h.Epoch != "e" || h.Name != "gateway" || h.BudgetMS != 60_000 || h.Leaving {
			t.Errorf("%+v", h)
		}
		if n := valueOf(t, e.counts.changes); n != 50 {
			t.Errorf("%v changes", n)
		}
	})
	if h := c.last.Load(); !h.Leaving {
		t.Errorf("the last it said is %+v", h)
	}
}

// A gateway whose heartbeats are not taken stops believing its feed, or the
// control plane could not know by when it refuses.
func TestAFeedWithoutHeartbeatsIsNotBelieved(t *testing.T) {
	t.Parallel()
	now := &moved{}
	c := newControlPlane(t, func(c *controlPlane) {
		c.heartbeat = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	})
	e := run(t, func(c *Config) { c.Now = now.now }, c.URL)
	eventually(t, "the feed is heard", func() bool { return e.feed.at().After == 1 && judge(t, e, 1) == apikey.Valid })
	eventually(t, "the record is cached", func() bool {
		before := c.asked.Load()
		return judge(t, e, 1) == apikey.Valid && c.asked.Load() == before
	})
	// In steps, so that the stream itself is never silent for three seconds.
	for range 4 {
		now.ahead(2 * time.Second)
		number := e.feed.at().After + 1
		c.events <- event(wire.EventChange, number, wire.Change{IDs: []string{"other"}, Kind: wire.Refresh})
		eventually(t, "the stream goes on", func() bool { return e.feed.at().After >= number })
	}
	if e.heart.believed() {
		t.Error("the feed is believed without any contact")
	}
	if n := valueOf(t, e.counts.resets); n != 1 {
		t.Errorf("%v resets: the stream did not go on", n)
	}
	now.ahead(time.Minute)
	before := c.asked.Load()
	judge(t, e, 1)
	if c.asked.Load() == before {
		t.Error("a cached record counts after the budget")
	}
}

// moved is a clock that can be moved ahead.
type moved struct {
	mu sync.Mutex
	by time.Duration
}

func (m *moved) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.by)
}

func (m *moved) ahead(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.by += d
}
