package validator

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/meter"
)

// benchRecord is what most installations will have: a plan, two scopes and an
// address rule.
func benchRecord() apikey.Record {
	return apikey.Record{
		Change: 41,
		DependsOn: apikey.NewStrings(
			"key_01981f0a5e6c7b8f9a0b1c2d3e4f5a6b", "usr_01981f0a5e6c7b8f9a0b1c2d3e4f5a6c",
			"sub_01981f0a5e6c7b8f9a0b1c2d3e4f5a6d", "pln_01981f0a5e6c7b8f9a0b1c2d3e4f5a6e"),
		Key: apikey.Key{
			ID: "key_01981f0a5e6c7b8f9a0b1c2d3e4f5a6b", Name: "billing worker", Environment: apikey.Live,
			Scopes:     apikey.NewStrings("reports:read", "reports:write"),
			AllowCIDRs: apikey.NewCIDRs(netip.MustParsePrefix("10.0.0.0/8")),
			ExpiresAt:  apikey.InstantOf(time.Now().Add(time.Hour)),
		},
		User: apikey.User{ID: "usr_01981f0a5e6c7b8f9a0b1c2d3e4f5a6c", Name: "Ada", ExternalID: "customer-7"},
		Subscription: apikey.Subscription{
			ID: "sub_01981f0a5e6c7b8f9a0b1c2d3e4f5a6d", PlanID: "pln_01981f0a5e6c7b8f9a0b1c2d3e4f5a6e", Plan: "pro",
		},
	}
}

type bench struct {
	*Validator
	prefixes   apikey.Prefixes
	credential string
	request    apikey.Request
}

// newBench returns a validator that has the key's record cached under a live
// feed which has told of changes to others since.
func newBench(b *testing.B) *bench {
	secret := apikey.NewSecret("lk", apikey.KindAPI, apikey.Live)
	source := &fakeSource{epoch: "e"}
	source.set(secret.Fingerprint(), benchRecord())
	v, err := New(Config{Source: source, Now: time.Now, CacheMB: 64, StaleBudget: time.Hour, Meter: meter.New(time.Now)})
	if err != nil {
		b.Fatal(err)
	}
	v.Reset(Head{Number: 40, Epoch: "e"})
	v.Heard(Head{Number: 41, Epoch: "e"})
	s := &bench{Validator: v, prefixes: apikey.Prefixes{"lk"}, credential: secret.Reveal()}
	s.request = apikey.Request{
		Fingerprint: secret.Fingerprint(), IP: netip.MustParseAddr("10.1.2.3"),
		Method: "GET", Path: "/reports/7", Scopes: []string{"reports:read"},
	}
	if code := s.once(); code != apikey.Valid {
		b.Fatalf("got %v", code)
	}
	v.Apply(Change{Number: 42, IDs: []string{"key_other"}, Forget: true})
	v.era.Load().heard.Store(1 << 60) // the feed stays live however long it takes
	return s
}

// once is all that a door does to judge one credential.
func (s *bench) once() apikey.Code {
	token, ok := s.prefixes.Parse(s.credential)
	if !ok {
		return apikey.Malformed
	}
	req := s.request
	req.Fingerprint = token.Fingerprint
	verdict := s.Validate(context.Background(), &req)
	return verdict.Code
}

// floor is what no design could do without: the fingerprint, and bigcache's
// copy of the same entry.
func (s *bench) floor() int {
	f := apikey.FingerprintOf(s.credential)
	e, err := s.known.entries.Get(cacheKey(&f))
	if err != nil {
		return 0
	}
	return len(e)
}

// BenchmarkHit is a credential that is judged from the cache, from its text to
// the verdict. Compare it with BenchmarkFloor of the same run.
func BenchmarkHit(b *testing.B) {
	s := newBench(b)
	b.ReportAllocs()
	for b.Loop() {
		if code := s.once(); code != apikey.Valid {
			b.Fatalf("got %v", code)
		}
	}
}

// BenchmarkValidate is BenchmarkHit without reading the credential.
func BenchmarkValidate(b *testing.B) {
	s := newBench(b)
	b.ReportAllocs()
	for b.Loop() {
		if verdict := s.Validate(context.Background(), &s.request); verdict.Code != apikey.Valid {
			b.Fatalf("got %v", verdict.Code)
		}
	}
}

func BenchmarkFloor(b *testing.B) {
	s := newBench(b)
	b.ReportAllocs()
	for b.Loop() {
		if s.floor() == 0 {
			b.Fatal("not cached")
		}
	}
}

// BenchmarkHitOverFloor alternates both in short stretches, so that a noisy
// machine slows both, and reports the ratio.
func BenchmarkHitOverFloor(b *testing.B) {
	s := newBench(b)
	const stretch = 1000
	var hit, floor time.Duration
	for b.Loop() {
		start := time.Now()
		for range stretch {
			s.once()
		}
		middle := time.Now()
		for range stretch {
			s.floor()
		}
		hit += middle.Sub(start)
		floor += time.Since(middle)
	}
	n := float64(b.N * stretch)
	b.ReportMetric(float64(hit)/n, "ns/hit")
	b.ReportMetric(float64(floor)/n, "ns/floor")
	b.ReportMetric(float64(hit)/float64(floor), "x-floor")
}

func BenchmarkHitParallel(b *testing.B) {
	s := newBench(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.once()
		}
	})
}

func BenchmarkFloorParallel(b *testing.B) {
	s := newBench(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.floor()
		}
	})
}

// BenchmarkMiss is a key that is looked up for the first time, at a Source that
// answers at once.
func BenchmarkMiss(b *testing.B) {
	v, err := New(Config{Source: anyKey{}, Now: time.Now, CacheMB: 64, StaleBudget: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	v.Reset(Head{Epoch: "e"})
	b.ReportAllocs()
	var f apikey.Fingerprint
	for n := 0; b.Loop(); n++ {
		f[0], f[1], f[2], f[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
		req := apikey.Request{Fingerprint: f, IP: netip.MustParseAddr("10.1.2.3")}
		if verdict := v.Validate(context.Background(), &req); verdict.Code != apikey.Valid {
			b.Fatalf("got %v", verdict.Code)
		}
	}
}

// anyKey is a Source that knows every key.
type anyKey struct{}

var anyRecord = benchRecord()

func (anyKey) Lookup(context.Context, apikey.Fingerprint) (Answer, error) {
	return Answer{Found: true, Epoch: "e", Record: anyRecord}, nil
}
