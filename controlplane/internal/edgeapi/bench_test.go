package edgeapi_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// BenchmarkRevocation measures the time from a revocation's commit to its
// refusal at ten gateways on two replicas, each gateway at 50 requests per
// second besides, 20 revocations per second. Figures are over all revocations
// and gateways; receipt-… is how long a receipt took. Run it with
// -benchtime=1000x.
func BenchmarkRevocation(b *testing.B) {
	dsn := pgtest.DSN(b)
	replicas := []*replica{start(b, dsn, "127.0.0.1:0"), start(b, dsn, "127.0.0.1:0")}
	token := replicas[0].token(b, access.EdgeConnect).Secret.Reveal()
	var all []*gateway
	for i := range 10 {
		all = append(all, connect(b, fmt.Sprint("gateway ", i), token, time.Minute, replicas[i%2].addr))
	}
	busy := replicas[0].issue(b)
	ctx, cancel := context.WithCancel(b.Context())
	var load sync.WaitGroup
	for _, g := range all {
		g.cached(b, busy)
		load.Go(func() { g.load(ctx, busy, 20*time.Millisecond) })
	}
	defer load.Wait()
	defer cancel()

	var refusals, receipts []time.Duration
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for b.Loop() {
		<-pace.C
		k := replicas[0].issue(b)
		for _, g := range all {
			g.judge(b, k)
		}
		var refused sync.WaitGroup
		took := make([]time.Time, len(all))
		for i, g := range all {
			refused.Go(func() { took[i] = g.untilRefused(b.Context(), k) })
		}
		must[keys.Key](b)(replicas[1].keys.Revoke(b.Context(), access.CLI("bench"), k.Key.ID, keys.KeyCompromise))
		committed := time.Now()
		r := must[gateways.Receipt](b)(replicas[1].gates.Confirm(b.Context(), k.Key.ID.String(), 5*time.Second))
		if r.Confirmed != len(all) || len(r.Pending) != 0 {
			b.Fatalf("receipt: %+v", r)
		}
		refused.Wait()
		receipts = append(receipts, r.Elapsed)
		for _, at := range took {
			refusals = append(refusals, max(0, at.Sub(committed)))
		}
	}
	report(b, "refused", refusals)
	report(b, "receipt", receipts)
}

// load asks about a good key at a pace.
func (g *gateway) load(ctx context.Context, k keys.Issued, pace time.Duration) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.Validator().Validate(ctx, &apikey.Request{Fingerprint: k.Secret.Fingerprint(), Kind: apikey.KindAPI})
		}
	}
}

// untilRefused asks until the answer is that the key is revoked.
func (g *gateway) untilRefused(ctx context.Context, k keys.Issued) time.Time {
	request := &apikey.Request{Fingerprint: k.Secret.Fingerprint(), Kind: apikey.KindAPI}
	for ctx.Err() == nil {
		if v := g.Validator().Validate(ctx, request); v.Code == apikey.Revoked {
			break
		}
		time.Sleep(200 * time.Microsecond)
	}
	return time.Now()
}

func report(b *testing.B, name string, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	for _, p := range []float64{50, 99, 100} {
		i := int(math.Ceil(p/100*float64(len(all)))) - 1
		b.ReportMetric(float64(all[max(i, 0)].Microseconds())/1000, fmt.Sprintf("%s-p%g-ms", name, p))
	}
	b.ReportMetric(0, "ns/op")
}
