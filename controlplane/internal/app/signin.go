package app

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/controlplane/internal/identity"
)

// newIdentity leaves half of the cores to the doors, whatever signs in.
func (a *App) newIdentity(now func() time.Time) *identity.Service {
	return identity.New(identity.Config{
		Accounts: a.DB.Users(), Sessions: a.DB.Sessions(), Users: a.Users, Now: now, Wait: wait,
		Ends:    a.sessionEnds,
		Hashers: runtime.GOMAXPROCS(0) / 2,
	})
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// signInFigures are the figures of signing in.
func signInFigures(s *identity.Service) prometheus.Collector {
	figures := prometheus.NewRegistry()
	for _, o := range identity.Outcomes() {
		figures.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "latchkey_sign_ins_total", Help: "Attempts to sign in, by what came of them.",
			ConstLabels: prometheus.Labels{"outcome": o.String()},
		}, func() float64 { return float64(s.SignIns(o)) }))
	}
	figures.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "latchkey_password_hashes_total", Help: "Passwords that were hashed, each for about 25 ms of one core.",
		}, func() float64 { return float64(s.Hashes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "latchkey_sign_ins_delayed", Help: "Attempts to sign in that are held back at this moment.",
		}, func() float64 { return float64(s.Delayed()) }),
	)
	return figures
}
