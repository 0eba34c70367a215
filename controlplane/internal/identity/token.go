package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

const tokenLen = 32 // bytes of crypto/rand: nothing that could be guessed

// Digest is the SHA-256 of a token, as it is stored. A fast hash will do: there
// is nothing to guess at.
type Digest [sha256.Size]byte

// Token is what a session's cookie holds. It prints as "redacted".
type Token struct{ text string }

func newToken() Token {
	random := make([]byte, tokenLen)
	_, _ = rand.Read(random) // never fails: it ends the program instead
	return Token{base64.RawURLEncoding.EncodeToString(random)}
}

// ParseToken reads a token from a cookie; ok is false for what cannot be one.
func ParseToken(text string) (t Token, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != tokenLen {
		return Token{}, false
	}
	return Token{text}, true
}

// Reveal returns the token itself, for the cookie alone.
func (t Token) Reveal() string { return t.text }

// IsZero reports whether this is no token.
func (t Token) IsZero() bool { return t.text == "" }

func (t Token) digest() Digest { return sha256.Sum256([]byte(t.text)) }

func (Token) String() string   { return "redacted" }
func (Token) GoString() string { return "redacted" }

// MarshalText writes "redacted".
func (Token) MarshalText() ([]byte, error) { return []byte("redacted"), nil }
