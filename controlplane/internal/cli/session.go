package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/term"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/config"
)

// session is one run of one command.
type session struct {
	env     Environment
	program string // as it was called, for lines to be pasted
	json    bool
}

// caller is whoever runs the command.
func (s *session) caller() access.Caller { return access.CLI(s.env.Account) }

func (s *session) config() (config.Config, error) {
	return config.Load(s.env.Environ, s.env.ReadFile)
}

// withCore runs a command's work on the domains over the configured database.
func (s *session) withCore(ctx context.Context, work func(*app.Core) error) error {
	c, err := s.config()
	if err != nil {
		return err
	}
	core, err := app.OpenCore(ctx, app.Options{
		Config: c, Version: s.env.Version, Log: slog.New(slog.DiscardHandler), Now: s.env.Now, Notice: s.notice,
	})
	if err != nil {
		return err
	}
	return closing(core, work(core))
}

// closing gives back what a command has opened, whatever came of it.
func closing(c interface{ Close(context.Context) error }, err error) error {
	// The context of the command may have ended; closing has its own limit.
	if closeErr := c.Close(context.Background()); err == nil {
		return closeErr
	}
	return err
}

// print writes a result: v as JSON, or what text writes. A result that nobody
// got is a failure: it may have been the only sight of a secret.
func (s *session) print(v any, text func(w io.Writer)) error {
	if s.json {
		return writeJSON(s.env.Stdout, v)
	}
	out := &sticky{w: s.env.Stdout}
	text(out)
	return out.err
}

// sticky remembers the first failure, so that each line need not look.
type sticky struct {
	w   io.Writer
	err error
}

func (s *sticky) Write(p []byte) (n int, err error) {
	if s.err == nil {
		n, s.err = s.w.Write(p)
	}
	return n, s.err
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// say writes a line for people, beside the result.
func (s *session) say(format string, args ...any) {
	if !s.json {
		_, _ = fmt.Fprintf(s.env.Stderr, format+"\n", args...)
	}
}

// notice passes on what an operator should know.
func (s *session) notice(line string) { s.say("note: %s", oneLine(line)) }

// terminal returns the descriptor of a stream that is a terminal.
func terminal(stream any) (fd int, ok bool) {
	file, ok := stream.(interface{ Fd() uintptr })
	if !ok {
		return 0, false
	}
	fd = int(file.Fd())
	return fd, term.IsTerminal(fd)
}
