package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/postgres/seed"
)

type seedCmd struct {
	Users int `default:"1000" placeholder:"N" help:"How many users (${default})."`
	Keys  int `default:"10000" placeholder:"N" help:"How many keys (${default})."`
}

func (seedCmd) Help() string {
	return `Users, subscriptions and keys are spread as in an installation that is in use. Their secrets are the same each time, and so known to anybody: production refuses it.

Example:

    latchkey dev seed --users 100000 --keys 1000000`
}

// seeded is what was written, and how long that took.
type seeded struct {
	Users         int     `json:"users"`
	Subscriptions int     `json:"subscriptions"`
	Keys          int     `json:"keys"`
	Seconds       float64 `json:"seconds"`
}

// Run fills the database.
func (c *seedCmd) Run(ctx context.Context, s *session) error {
	configured, err := s.config()
	if err != nil {
		return err
	}
	if configured.Production() {
		return fault.New(fault.Forbidden, "production takes no seeded keys: everybody knows their secrets").
			WithFix("seed an installation with LATCHKEY_ENV=development")
	}
	return s.withCore(ctx, func(core *app.Core) error {
		began := s.env.Now()
		result, err := seed.Run(ctx, seed.Options{
			DSN: core.DSN, Population: seed.Population{Users: c.Users, Keys: c.Keys},
			Digester: core.Peppers, Chain: core.Chain, Caller: s.caller(), Now: began,
			Progress: func(table string, done, of int) { s.say("%-13s  %d of %d", table, done, of) },
		})
		if err != nil {
			return err
		}
		took := s.env.Now().Sub(began)
		v := seeded{Users: result.Users, Subscriptions: result.Subscriptions, Keys: result.Keys, Seconds: took.Seconds()}
		return s.print(v, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "Seeded %d users, %d subscriptions and %d keys in %s.\nA good key: %s\n",
				v.Users, v.Subscriptions, v.Keys, took.Round(time.Millisecond), seed.Secret(0))
		})
	})
}
