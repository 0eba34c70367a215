package app_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/kong/kongtest"
)

const (
	benchGateways = 10
	benchKeys     = 1000
	benchPace     = 50 * time.Millisecond // between revocations: 20 per second
	benchRequests = 20 * time.Millisecond // between requests of a gateway: 50 per second
	// benchProbe is the time between two requests that look for the refusal,
	// which adds to each figure up to as much.
	benchProbe = 2 * time.Millisecond
)

// revocations are what BenchmarkRevocationAtGateways measures.
type revocations struct {
	*testing.B
	front    *front
	replicas [2]*replica
	gateways [benchGateways]*gateway
	secrets  [benchKeys]string
	ids      [benchKeys]string
	next     atomic.Int64 // the key that is revoked next

	mu            sync.Mutex
	sent, refused []time.Duration
}

// BenchmarkRevocationAtGateways revokes 1,000 keys, 20 per second, over two
// replicas, while each of ten gateways, processes of the plugin, has 50 requests
// per second of keys that are about to be revoked. It measures the time until a
// gateway was seen to refuse, of every gateway and key: since the revocation was
// answered, which its commit comes just before (refused-…), and since it was
// sent (sent-…). A run is about a minute; b.N counts runs.
func BenchmarkRevocationAtGateways(b *testing.B) {
	r := &revocations{B: b, front: newFront(b)}
	r.replicas = [2]*replica{r.front.replica, start(b, r.front.dsn)}
	for i := range r.gateways {
		urls := []string{r.replicas[i%2].url, r.replicas[1-i%2].url}
		r.gateways[i] = gatewayOf(b, fmt.Sprint("gateway ", i), r.front.token, urls)
	}
	for b.Loop() {
		r.run()
	}
	r.report("sent", r.sent)
	r.report("refused", r.refused)
	b.ReportMetric(0, "ns/op")
}

func (r *revocations) run() {
	for i := range r.secrets {
		r.secrets[i], r.ids[i] = r.front.issue(nil)
	}
	r.next.Store(0)
	ctx, cancel := context.WithCancel(r.Context())
	var load, probes sync.WaitGroup
	for _, g := range r.gateways {
		load.Go(func() { r.ask(ctx, g) })
	}
	pace := time.NewTicker(benchPace)
	defer pace.Stop()
	for range 4 {
		<-pace.C // the first keys become known
	}
	for i := range r.secrets {
		<-pace.C
		r.next.Store(int64(i) + 1)
		sent := time.Now()
		r.replicas[i%2].call(r.front.admin, "POST", "/api/v1/keys/"+r.ids[i]+"/revoke", nil, 200)
		answered := time.Now()
		for _, g := range r.gateways {
			probes.Go(func() {
				at := r.probe(ctx, g, r.secrets[i])
				r.mu.Lock()
				defer r.mu.Unlock()
				r.sent, r.refused = append(r.sent, at.Sub(sent)), append(r.refused, at.Sub(answered))
			})
		}
	}
	probes.Wait()
	cancel()
	load.Wait()
}

// ask makes requests at a pace, of one of the keys that are revoked next.
func (r *revocations) ask(ctx context.Context, g *gateway) {
	tick := time.NewTicker(benchRequests)
	defer tick.Stop()
	for n := int64(0); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if i := r.next.Load() + 1 + n%3; i < benchKeys {
			_, _ = g.open.Access(ctx, kongtest.Request{Headers: shows("X-API-Key", r.secrets[i])})
		}
	}
}

// probe asks until the key is refused, and returns when that was known.
func (r *revocations) probe(ctx context.Context, g *gateway, key string) time.Time {
	tick := time.NewTicker(benchProbe)
	defer tick.Stop()
	req := kongtest.Request{Headers: shows("X-API-Key", key)}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		out, err := g.open.Access(ctx, req)
		switch {
		case err != nil || out.Err != nil || !out.Allowed && code(out) != "REVOKED":
			r.Errorf("%s: %v %d %s", g.name, err, out.Status, out.Body)
			return time.Now()
		case !out.Allowed:
			return time.Now()
		}
	}
	r.Errorf("%s goes on admitting a revoked key", g.name)
	return time.Now()
}

func (r *revocations) report(name string, all []time.Duration) {
	r.Helper()
	slices.Sort(all)
	for unit, p := range map[string]float64{"p50": 0.50, "p99": 0.99, "max": 1} {
		i := int(math.Ceil(p*float64(len(all)))) - 1
		r.ReportMetric(float64(all[i].Microseconds())/1000, name+"-"+unit+"-ms")
	}
}
