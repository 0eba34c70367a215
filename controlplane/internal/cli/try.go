package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/api"
	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/config"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

type tryCmd struct {
	URL string `placeholder:"URL" help:"Where the server is; from the configuration where not given."`
}

func (tryCmd) Help() string {
	return `It issues a test key that expires within a day, asks the server about it, revokes it, and measures how long it takes until the server refuses it. Where no server answers it starts one for the time being.`
}

// trial is what the command has seen.
type trial struct {
	URL string `json:"url"`
	// Started says that the server ran for this command alone.
	Started bool        `json:"started"`
	Key     api.KeyView `json:"key"` // as it was issued
	Secret  string      `json:"secret"`
	// Accepted is the first answer, Again the second, from the cache.
	Accepted answer `json:"accepted"`
	Again    answer `json:"again"`
	// Refused is the first refusal; its time counts from the revocation.
	Refused answer `json:"refused"`
}

// Run tries it.
func (c *tryCmd) Run(ctx context.Context, s *session) error {
	configured, err := s.config()
	if err != nil {
		return err
	}
	door := newDoor(s.env.Now)
	defer door.close()
	switch found, err := door.find(ctx, candidates(c.URL, &configured)); {
	case err != nil:
		return err
	case found:
		return s.withCore(ctx, func(core *app.Core) error { return s.try(ctx, core, door, false) })
	case c.URL != "":
		return fault.New(fault.Unavailable, "no Latchkey answers at %s", door.base).
			WithFix("start one with `%s serve`, or leave --url out", s.program)
	}
	return s.tryAlone(ctx, configured, door)
}

// tryAlone runs a server for the time being, on ports that are free.
func (s *session) tryAlone(ctx context.Context, c config.Config, door *door) error {
	s.say("No server answers at %s: one is started for the time being.\n", door.base)
	c.Listen, c.OpsListen = "127.0.0.1:0", "127.0.0.1:0"
	a, err := app.New(ctx, app.Options{
		Config: c, Version: s.env.Version, Log: slog.New(slog.DiscardHandler), Now: s.env.Now, Notice: s.notice,
	})
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- a.Run(serving) }()
	door.base = httpURL(a.Addr())
	err = s.try(ctx, a.Core, door, true)
	stop()
	return closing(a, errors.Join(err, <-served))
}

// try is the trial itself.
func (s *session) try(ctx context.Context, core *app.Core, door *door, started bool) (err error) {
	issued, err := core.Keys.Issue(ctx, s.caller(), keys.NewKey{
		Name: "latchkey try", Environment: apikey.Test, Scopes: []string{"try:it"}, ExpiresInDays: 1,
	})
	if err != nil {
		return err
	}
	revoked := false
	defer func() { // a trial that fails leaves no good key behind
		if !revoked {
			_, revokeErr := core.Keys.Revoke(context.WithoutCancel(ctx), s.caller(), issued.Key.ID, keys.Superseded)
			err = errors.Join(err, revokeErr)
		}
	}()
	t := trial{URL: door.base, Started: started, Key: api.ViewKey(issued.Key, s.env.Now()), Secret: issued.Secret.Reveal()}
	s.show("1. Issued a test key. The question that your service asks for every request that it gets:\n\n  %s\n\n", curl(door.base, t.Secret))

	for _, into := range []*answer{&t.Accepted, &t.Again} {
		if *into, err = door.ask(ctx, t.Secret); err != nil {
			return err
		}
		if into.Status != http.StatusOK {
			return fault.New(fault.Conflict, "the server at %s answers %d %s to a key that was just issued", door.base, into.Status, into.Code).
				WithFix("let DATABASE_URL or LATCHKEY_DATA_DIR be the same here as for that server, or name another with --url")
		}
	}
	s.show("2. Asked it.        %d %s in %s; asked again, now from the cache: %s\n",
		t.Accepted.Status, t.Accepted.Code, milliseconds(t.Accepted), milliseconds(t.Again))

	if _, err := core.Keys.Revoke(ctx, s.caller(), issued.Key.ID, keys.Superseded); err != nil {
		return err
	}
	revoked = true
	if t.Refused, err = door.askUntilRefused(ctx, t.Secret); err != nil {
		return err
	}
	s.show("3. Revoked the key. %d %s, %s after the revocation\n\n", t.Refused.Status, t.Refused.Code, milliseconds(t.Refused))
	return s.print(t, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "Any answer but 200 means: do not let them in. Next: %s keys issue --name my-first-key\n", s.program)
	})
}

// show writes a step of the trial for people.
func (s *session) show(format string, args ...any) {
	if !s.json {
		_, _ = fmt.Fprintf(s.env.Stdout, format, args...)
	}
}

func milliseconds(a answer) string { return fmt.Sprintf("%.1f ms", a.Milliseconds) }

// patience is how long a revoked key may go on being accepted before the trial
// calls it a failure.
const patience = 10 * time.Second
