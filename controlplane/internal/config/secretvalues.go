package config

import (
	"errors"
	"fmt"
	"strings"
)

// DatabaseURL is a PostgreSQL DSN; it may hold a password.
type DatabaseURL struct{ Secret }

// UnmarshalText accepts both forms of libpq's connection string.
func (d *DatabaseURL) UnmarshalText(b []byte) error {
	text := string(b)
	url := strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
	if !url && !strings.Contains(text, "=") {
		return errors.New("want postgres://user:password@host:5432/database, or host=… user=… dbname=…")
	}
	d.Secret = NewSecret(text)
	return nil
}

const (
	minSecretKey = 64 // bytes
	minPepper    = 32 // bytes
	minDistinct  = 8  // different bytes; a placeholder has fewer, random hexadecimal more
)

// SecretKey is the root secret of the installation.
type SecretKey struct{ Secret }

// UnmarshalText reads at least 64 bytes that are not one repeated letter.
func (s *SecretKey) UnmarshalText(b []byte) error {
	if len(b) < minSecretKey || distinct(b) < minDistinct {
		return fmt.Errorf("want at least %d random bytes: openssl rand -base64 64 | tr -d '\\n'", minSecretKey)
	}
	s.Secret = NewSecret(string(b))
	return nil
}

// Pepper is one key under which fingerprints are digested. Its id is stored
// with every row that it digested.
type Pepper struct {
	ID     string
	Secret Secret
}

// Peppers are all that verify; the first digests new rows.
type Peppers []Pepper

// UnmarshalText reads id:secret pairs separated by commas. Ids are 1 to 32 of
// a-z, 0-9, _ and -, each once; secrets have at least 32 bytes and no comma.
func (p *Peppers) UnmarshalText(b []byte) error {
	seen := map[string]bool{}
	for i, item := range strings.Split(string(b), ",") {
		id, secret, found := strings.Cut(strings.TrimSpace(item), ":")
		switch {
		case !found || !pepperID(id):
			return fmt.Errorf("want id:secret,… with ids of a-z, 0-9, _ and -; entry %d is not that", i+1)
		case seen[id]:
			return fmt.Errorf("want each pepper id once; entry %d repeats one", i+1)
		case len(secret) < minPepper || distinct([]byte(secret)) < minDistinct:
			return fmt.Errorf("want at least %d random bytes per pepper; entry %d has fewer: openssl rand -base64 32", minPepper, i+1)
		}
		seen[id] = true
		*p = append(*p, Pepper{ID: id, Secret: NewSecret(secret)})
	}
	return nil
}

func pepperID(id string) bool {
	return len(id) >= 1 && len(id) <= 32 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// PasswordHash is an argon2id hash in PHC form.
type PasswordHash struct{ Secret }

// UnmarshalText checks the algorithm; the users domain reads the rest.
func (h *PasswordHash) UnmarshalText(b []byte) error {
	if !strings.HasPrefix(string(b), "$argon2id$") {
		return errors.New("want what latchkey hash-password prints, $argon2id$…; in a shell or a compose file every $ must be quoted")
	}
	h.Secret = NewSecret(string(b))
	return nil
}

func distinct(b []byte) int {
	var seen [256]bool
	n := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}
