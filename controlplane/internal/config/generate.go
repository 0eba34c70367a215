package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The files of generated secrets in the data directory.
const (
	secretKeyFile = "secret_key"
	peppersFile   = "peppers"
)

// EnsureSecrets gives a development configuration the SECRET_KEY and peppers
// that it lacks, from the data directory; what is not there yet is generated.
// Of processes that start at the same moment one generates and all read the
// same. In production it does nothing, for Load has required both.
func (c *Config) EnsureSecrets() error {
	if c.SecretKey.Empty() {
		text, err := c.ensure(secretKeyFile, func() string { return randomText(minSecretKey) })
		if err != nil {
			return err
		}
		if err := c.SecretKey.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(c.DataDir, secretKeyFile), err)
		}
	}
	if len(c.Peppers) == 0 {
		text, err := c.ensure(peppersFile, func() string { return "p1:" + randomText(minPepper) })
		if err != nil {
			return err
		}
		if err := c.Peppers.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(c.DataDir, peppersFile), err)
		}
	}
	return nil
}

// ensure reads a file of the data directory, and makes it first where there is
// none. The directory is open to look through because a private PostgreSQL may
// run in it under another account; every file in it has its own mode.
func (c *Config) ensure(name string, generate func() string) (string, error) {
	if c.Production() {
		return "", errors.New("production generates no secrets")
	}
	path := filepath.Join(c.DataDir, name)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(c.DataDir, 0o755); err != nil { //nolint:gosec // see above: its files have their own modes
			return "", fmt.Errorf("making the data directory, LATCHKEY_DATA_DIR: %w", err)
		}
		if err := createOnce(path, generate()+"\n"); err != nil {
			return "", fmt.Errorf("making %s: %w", path, err)
		}
		content, err = os.ReadFile(path)
	}
	if err != nil {
		return "", fmt.Errorf("reading a generated secret in the data directory, LATCHKEY_DATA_DIR: %w", err)
	}
	return strings.TrimSuffix(string(content), "\n"), nil
}

// createOnce makes a file with the content, whole and durable, unless there is
// one already. Linking a finished temporary file is what makes it both atomic
// and exclusive: rename would replace what another process has just made.
func createOnce(path, content string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.WriteString(content)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	if err := os.Link(temporary.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// randomText returns n random bytes as base64, which has no comma, colon or
// newline.
func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return base64.StdEncoding.EncodeToString(b)
}
