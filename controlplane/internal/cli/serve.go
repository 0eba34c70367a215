package cli

import (
	"context"
	"log/slog"

	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/config"
)

type serveCmd struct{}

func (serveCmd) Help() string {
	return `Without DATABASE_URL it runs a private PostgreSQL of its own in LATCHKEY_DATA_DIR (.latchkey). It ends its start with where everything is, and while there is no management key, with how to make the first.

With --json it writes one JSON line on stdout as soon as it is up. Logs go to stderr: text on a terminal, else JSON (LOG_FORMAT).`
}

// Run serves until the context ends.
func (serveCmd) Run(ctx context.Context, s *session) error {
	c, err := s.config()
	if err != nil {
		return err
	}
	asText := s.logsText(&c)
	log := s.logger(&c, asText)
	a, err := app.New(ctx, app.Options{
		Config: c, Version: s.env.Version, Log: log, Now: s.env.Now,
		Notice: func(line string) { log.Info(oneLine(line)) },
	})
	if err != nil {
		return err
	}
	return closing(a, func() error {
		p, err := placesOf(ctx, a, s)
		if err != nil {
			return err
		}
		if err := s.announce(p, asText, log); err != nil {
			return err
		}
		err = a.Run(ctx)
		log.Info("stopping")
		return err
	}())
}

// logsText reports whether log lines are for people.
func (s *session) logsText(c *config.Config) bool {
	if s.json || c.LogFormat == config.LogJSON {
		return false
	}
	_, isTerminal := terminal(s.env.Stderr)
	return isTerminal || c.LogFormat == config.LogText
}

// logger writes to stderr.
func (s *session) logger(c *config.Config, asText bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel.Level()}
	if asText {
		return slog.New(slog.NewTextHandler(s.env.Stderr, options))
	}
	return slog.New(slog.NewJSONHandler(s.env.Stderr, options))
}

// announce says that the server is up and where everything is.
//
// The set-up token is written to stdout and never to the log. Logs are kept,
// shipped and searched by people who may not administer this installation; what
// a container writes to stdout may be collected too, but can be told apart from
// the log, and the token is worth nothing from the moment that it, or
// `keys issue --management`, has made the first key.
func (s *session) announce(p places, asText bool, log *slog.Logger) error {
	_, toTerminal := terminal(s.env.Stdout)
	switch {
	case s.json:
		return writeJSONLine(s.env.Stdout, p)
	case asText || toTerminal:
		return p.writeBanner(s.env.Stdout)
	}
	log.Info("latchkey is up", "version", p.Version, "url", p.URL, "docs", p.DocsURL, "ops", p.OpsURL,
		"data_dir", p.DataDir, "postgresql", p.PostgreSQL, "set_up", p.SetupToken == "")
	return p.writeSetup(s.env.Stdout)
}
