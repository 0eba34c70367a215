package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

type hashPasswordCmd struct {
	PasswordFile string `placeholder:"FILE" help:"Read the password from this file instead of the terminal or stdin."`
}

func (hashPasswordCmd) Help() string {
	return `The password is asked for, or read from stdin where that is no terminal; it is never an argument, which other users of the machine could see.

Examples:

    latchkey hash-password
    latchkey hash-password < password.txt`
}

// Run prints the hash.
func (c *hashPasswordCmd) Run(ctx context.Context, s *session) error {
	hash, err := s.hashedPassword(ctx, c.PasswordFile)
	if err != nil {
		return err
	}
	text := string(hash) // the hash is what was asked for
	return s.print(map[string]string{"password_hash": text}, func(w io.Writer) { _, _ = fmt.Fprintln(w, text) })
}

// hashedPassword takes a password from a file, a terminal or stdin.
func (s *session) hashedPassword(ctx context.Context, file string) (users.PasswordHash, error) {
	password, err := s.password(ctx, file)
	if err != nil {
		return "", err
	}
	return users.HashPassword(password)
}

func (s *session) password(ctx context.Context, file string) (string, error) {
	if file != "" {
		content, err := s.env.ReadFile(file)
		if err != nil {
			return "", fault.Wrap(err, fault.Invalid, "the file of the password cannot be read")
		}
		return line(content), nil
	}
	if fd, ok := terminal(s.env.Stdin); ok {
		return s.ask(ctx, fd)
	}
	// One byte more than is accepted, and a line end: what is longer is refused.
	content, err := io.ReadAll(io.LimitReader(s.env.Stdin, users.MaxPassword+3))
	return line(content), err
}

// line drops the one line end that editors and shells add.
func line(content []byte) string {
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
}

// ask prompts twice without echo.
func (s *session) ask(ctx context.Context, fd int) (string, error) {
	password, err := s.prompt(ctx, fd, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := s.prompt(ctx, fd, "Once more: ")
	if err == nil && again != password {
		err = fault.New(fault.Invalid, "the two passwords differ")
	}
	return password, err
}

// prompt reads a line without echo. A read from a terminal cannot be called off:
// when ctx ends, the terminal gets its echo back and the reader is left to the
// end of the program, which is near.
func (s *session) prompt(ctx context.Context, fd int, text string) (string, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("the terminal: %w", err)
	}
	_, _ = io.WriteString(s.env.Stderr, text)
	type answer struct {
		line []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		answered <- answer{line, err}
	}()
	select {
	case a := <-answered:
		_, _ = io.WriteString(s.env.Stderr, "\n")
		return string(a.line), a.err
	case <-ctx.Done():
		return "", errors.Join(fault.New(fault.Unavailable, "no password was given"), term.Restore(fd, before))
	}
}
