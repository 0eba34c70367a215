package users

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// Parameters of argon2id: the OWASP Password Storage Cheat Sheet's choice of 19
// MiB, two passes, one lane. About 23 ms on one core.
const (
	argonMemoryKiB = 19 * 1024
	argonPasses    = 2
	argonLanes     = 1
	saltLen        = 16
	hashLen        = 32

	// MinPassword and MaxPassword bound a password, in bytes (NIST SP 800-63B:
	// at least 8; 1024 keeps hashing cheap).
	MinPassword = 8
	MaxPassword = 1024
)

// PasswordHash is an argon2id hash as a PHC string with its parameters, or ""
// for a user who cannot sign in by password. It prints as "redacted".
type PasswordHash string

// HashPassword hashes a password with a fresh salt.
func HashPassword(password string) (PasswordHash, error) {
	if len(password) < MinPassword || len(password) > MaxPassword {
		return "", fault.New(fault.Invalid, "a password has %d to %d bytes", MinPassword, MaxPassword)
	}
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails: it ends the program instead
	sum := argon2.IDKey([]byte(password), salt, argonPasses, argonMemoryKiB, argonLanes, hashLen)
	return phcString(salt, sum), nil
}

// NoPassword returns a hash that no password matches, and that takes Matches as
// long as one of today's: for users who do not exist or have no password.
func NoPassword() PasswordHash {
	random := make([]byte, saltLen+hashLen)
	_, _ = rand.Read(random)
	return phcString(random[:saltLen], random[saltLen:])
}

func phcString(salt, sum []byte) PasswordHash {
	encode := base64.RawStdEncoding.EncodeToString
	return PasswordHash(fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, argonMemoryKiB, argonPasses, argonLanes, encode(salt), encode(sum)))
}

// Weak reports whether the hash was made with less work than today's are:
// memory times passes, as OWASP compares them, or a shorter salt or sum. A hash
// that cannot be read is weak.
func (h PasswordHash) Weak() bool {
	p, err := parse(string(h))
	return err != nil || p.memory < argonMemoryKiB || p.memory*p.passes < argonMemoryKiB*argonPasses ||
		len(p.salt) < saltLen || len(p.sum) < hashLen
}

// ParsePasswordHash checks that text is an argon2id PHC string that Matches can
// use, such as hash-password prints.
func ParsePasswordHash(text string) (PasswordHash, error) {
	if _, err := parse(text); err != nil {
		return "", err
	}
	return PasswordHash(text), nil
}

// Matches reports whether the password is the one that was hashed. It takes
// the same time for any wrong password. An unreadable hash matches nothing.
func (h PasswordHash) Matches(password string) bool {
	p, err := parse(string(h))
	if err != nil || len(password) > MaxPassword {
		return false
	}
	sum := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.sum)))
	return subtle.ConstantTimeCompare(sum, p.sum) == 1
}

type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

// parse reads a PHC string and refuses parameters that would make one check
// cost more than a second or 256 MiB.
func parse(text string) (p phc, err error) {
	invalid := fault.New(fault.Invalid, "a password hash is an argon2id PHC string").
		WithFix("make one with `latchkey hash-password`")
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, invalid
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil || n != 3 {
		return p, invalid
	}
	decode := base64.RawStdEncoding.DecodeString
	var saltErr, sumErr error
	p.salt, saltErr = decode(parts[4])
	p.sum, sumErr = decode(parts[5])
	switch {
	case saltErr != nil, sumErr != nil, len(p.salt) < 8, len(p.sum) < 16, len(p.sum) > 64:
		return p, invalid
	case p.memory < 8*1024 || p.memory > 256*1024, p.passes < 1 || p.passes > 10, p.lanes < 1 || p.lanes > 8:
		return p, invalid
	}
	return p, nil
}

func (PasswordHash) String() string   { return "redacted" }
func (PasswordHash) GoString() string { return "redacted" }

// MarshalText writes whether there is a password, so that the journal shows
// when one was set without showing it.
func (h PasswordHash) MarshalText() ([]byte, error) {
	if h == "" {
		return []byte("none"), nil
	}
	return []byte("redacted"), nil
}
