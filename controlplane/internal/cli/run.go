package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	cli "github.com/alecthomas/kong"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// Exit codes of the program.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // the arguments make no sense: nothing was done
)

// Environment is what a process has around it.
type Environment struct {
	Args     []string // with the program's own name first
	Environ  []string // NAME=value
	Account  string   // of the operating system, for the journal
	Version  string
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	ReadFile func(string) ([]byte, error)
	Now      func() time.Time
}

// Run does what the arguments say and returns the exit code: 0 done, 1 failed,
// 2 arguments that make no sense. It ends early when ctx does.
func Run(ctx context.Context, env Environment) int {
	s := &session{env: env, program: "latchkey"}
	var args []string
	if len(env.Args) > 0 {
		s.program, args = env.Args[0], env.Args[1:]
	}
	var g grammar
	command, err := parse(ctx, &g, s, args)
	switch {
	case err != nil:
		// The flag may stand behind what could not be understood.
		s.json = g.JSON || slices.Contains(args, "--json")
		s.fail(usage(s, err))
		return exitUsage
	case command == nil: // help was asked for and printed
		return exitOK
	}
	s.json = g.JSON
	if err := command.Run(); err != nil {
		if !errors.Is(err, errReported) {
			s.fail(err)
		}
		return exitFailed
	}
	return exitOK
}

// parse reads the arguments. The command is nil where help was printed instead.
func parse(ctx context.Context, g *grammar, s *session, args []string) (*cli.Context, error) {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	helped := false // kong prints help half-way through parsing and would end the program there
	parser, err := cli.New(g,
		cli.Name("latchkey"), cli.Description(description),
		cli.Writers(s.env.Stdout, s.env.Stderr), cli.Exit(func(int) { helped = true }),
		cli.ConfigureHelp(cli.HelpOptions{Compact: true, FlagsLast: true, NoAppDescFormat: true, WrapUpperBound: 96}),
		cli.ExplicitGroups(groups), cli.Bind(s), cli.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return nil, err
	}
	parser.Model.HelpFlag.Help = "Show this help."
	command, err := parser.Parse(args)
	if helped {
		return nil, nil
	}
	return command, err
}

// Validate refuses a flag that was given without anything, as from a variable that
// was never set: taken for one that was left out, --allow-cidr would bind a key to
// no network and --owner list everybody's.
func (g *grammar) Validate(given *cli.Context) error {
	for _, part := range given.Path {
		if part.Flag == nil || part.Flag.Required {
			continue
		}
		switch value := part.Flag.Target; value.Kind() {
		case reflect.String, reflect.Slice:
			if value.Len() == 0 {
				return fmt.Errorf("--%s: want a value; leave it out where there is none", part.Flag.Name)
			}
		}
	}
	return nil
}

// usage is the error of arguments that make no sense.
func usage(s *session, err error) error {
	command := filepath.Base(s.program)
	if parse, ok := errors.AsType[*cli.ParseError](err); ok && parse.Context != nil {
		if selected := parse.Context.Selected(); selected != nil {
			command += " " + selected.Path()
		}
	}
	return fault.New(fault.Invalid, "%s", withoutKeys(err.Error())).WithCode(codeUsage).WithFix("see %s --help", command)
}
