package apikey

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"strings"
)

const (
	alphabet  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	bodyLen   = 32 // 62^32: 190 bits
	checkLen  = 6  // 62^6 > 2^32: a CRC-32 always fits
	tailLen   = bodyLen + checkLen
	maxPrefix = 16

	// MaxCredential is the longest credential that is looked at, in bytes.
	MaxCredential = 512
	// StartBody is how many characters of the body an operator may see.
	StartBody = 4
)

// Kind says what a token is for. It is part of its shape and never changes.
type Kind uint8

// The kinds of token.
const (
	KindAPI        Kind = iota // opens doors: <prefix>_<live|test>_…
	KindManagement             // opens the admin API: <prefix>m_…
	KindSetup                  // opens the set-up window once: <prefix>s_…
)

func (k Kind) String() string {
	switch k {
	case KindAPI:
		return "api"
	case KindManagement:
		return "management"
	case KindSetup:
		return "setup"
	}
	return "unknown"
}

// Environment separates keys for real use from keys for trying out. Only API
// keys have one.
type Environment uint8

// The environments. AnyEnvironment is what a key of another kind has, and what
// a request that does not care asks for.
const (
	AnyEnvironment Environment = iota
	Live
	Test
)

func (e Environment) String() string {
	switch e {
	case Live:
		return "live"
	case Test:
		return "test"
	}
	return ""
}

// ParseEnvironment reads "live" or "test".
func ParseEnvironment(s string) (Environment, bool) {
	switch s {
	case "live":
		return Live, true
	case "test":
		return Test, true
	}
	return AnyEnvironment, false
}

// Prefixes are the prefixes that this installation issues or has issued, such
// as "lk". It is read-only once made.
type Prefixes []string

// CheckPrefix reports why p cannot be a prefix, or nil: it is one to sixteen
// lower-case letters and digits, and starts with a letter.
func CheckPrefix(p string) error {
	if len(p) == 0 || len(p) > maxPrefix || p[0] < 'a' || p[0] > 'z' {
		return fmt.Errorf("a key prefix is 1 to %d of a-z and 0-9 and starts with a letter", maxPrefix)
	}
	for i := range len(p) {
		if (p[i] < 'a' || p[i] > 'z') && (p[i] < '0' || p[i] > '9') {
			return fmt.Errorf("a key prefix is 1 to %d of a-z and 0-9 and starts with a letter", maxPrefix)
		}
	}
	return nil
}

// Token is what the shape of a credential tells. It holds no secret: only the
// fingerprint of the whole and the part that operators may see.
type Token struct {
	Kind        Kind
	Environment Environment
	Fingerprint Fingerprint
}

// Parse reads a credential that was presented at a door. ok is false where it
// cannot be a key of this installation: longer than MaxCredential, not
// printable ASCII, a prefix that was never issued, another shape, or a wrong
// checksum. It allocates nothing and does no I/O. The checksum is a cheap
// refusal of typing errors, never a security check.
func (p Prefixes) Parse(credential string) (t Token, ok bool) {
	if len(credential) > MaxCredential {
		return Token{}, false
	}
	kind, env, ok := p.shape(credential)
	if !ok {
		return Token{}, false
	}
	head, check := credential[:len(credential)-checkLen], credential[len(credential)-checkLen:]
	if uint64(crc32.ChecksumIEEE(unsafeBytes(head))) != base62(check) {
		return Token{}, false
	}
	return Token{Kind: kind, Environment: env, Fingerprint: FingerprintOf(credential)}, true
}

// Resembles reports whether text has the shape of a key of this installation,
// whether or not its checksum holds. Places where a secret must never go, such
// as a search field, refuse what resembles one.
func (p Prefixes) Resembles(text string) bool {
	_, _, ok := p.shape(text)
	return ok
}

// shape matches everything but the checksum.
func (p Prefixes) shape(s string) (kind Kind, env Environment, ok bool) {
	if len(s) < tailLen+2 {
		return 0, 0, false
	}
	head, tail := s[:len(s)-tailLen], s[len(s)-tailLen:]
	seen := byte(0)
	for i := range len(tail) {
		seen |= digits[tail[i]]
	}
	if seen&notADigit != 0 {
		return 0, 0, false
	}
	for _, prefix := range p {
		rest, found := strings.CutPrefix(head, prefix)
		if !found {
			continue
		}
		switch rest {
		case "_live_":
			return KindAPI, Live, true
		case "_test_":
			return KindAPI, Test, true
		case "m_":
			return KindManagement, AnyEnvironment, true
		case "s_":
			return KindSetup, AnyEnvironment, true
		}
	}
	return 0, 0, false
}

// digits is the value of each base62 digit; all else is notADigit, which has a
// bit that no digit has.
var digits = func() (values [256]byte) {
	for c := range values {
		values[c] = notADigit
	}
	for value, c := range []byte(alphabet) {
		values[c] = byte(value)
	}
	return values
}()

const notADigit = 0x80

// base62 returns the number that six digits stand for; it may be more than a
// CRC-32 can be.
func base62(check string) uint64 {
	n := uint64(0)
	for i := range len(check) {
		n = n*62 + uint64(digits[check[i]])
	}
	return n
}

// checksum is the CRC-32/IEEE of head as a big-endian base62 number, padded
// with zeros to six digits.
func checksum(head string) (sum [checkLen]byte) {
	crc := crc32.ChecksumIEEE(unsafeBytes(head))
	for i := checkLen - 1; i >= 0; i-- {
		sum[i] = alphabet[crc%62]
		crc /= 62
	}
	return sum
}

// Secret is a credential in plain text, answered once when it is made. It
// cannot be printed or logged by accident; Reveal is the one way out. The text
// is behind a pointer because fmt prints the unexported fields of a struct that
// holds a Secret without asking Secret's own methods.
type Secret struct{ plain *string }

// NewSecret makes a credential of the kind, with 190 bits from crypto/rand.
// env is read for KindAPI only.
func NewSecret(prefix string, kind Kind, env Environment) Secret {
	var b strings.Builder
	b.WriteString(prefix)
	switch kind {
	case KindManagement:
		b.WriteString("m_")
	case KindSetup:
		b.WriteString("s_")
	default:
		b.WriteString("_" + env.String() + "_")
	}
	writeBody(&b)
	sum := checksum(b.String())
	b.Write(sum[:])
	plain := b.String()
	return Secret{plain: &plain}
}

// writeBody writes bodyLen characters, each equally likely: bytes past the
// largest multiple of 62 are drawn again.
func writeBody(b *strings.Builder) {
	var pool [bodyLen * 2]byte
	for n := 0; n < bodyLen; {
		_, _ = rand.Read(pool[:]) // never fails: it ends the program instead
		for _, c := range pool {
			if c < 62*4 && n < bodyLen {
				b.WriteByte(alphabet[c%62])
				n++
			}
		}
	}
}

// Reveal returns the plain text, for the one answer that hands it over.
func (s Secret) Reveal() string {
	if s.plain == nil {
		return ""
	}
	return *s.plain
}

// Fingerprint returns the fingerprint of the whole credential.
func (s Secret) Fingerprint() Fingerprint { return FingerprintOf(s.Reveal()) }

// Start returns the prefix and the first four characters of the body: enough
// for people to tell keys apart, useless to anyone else.
func (s Secret) Start() string { return s.Reveal()[:len(s.Reveal())-tailLen+StartBody] }

// Last4 returns the last four characters.
func (s Secret) Last4() string { return s.Reveal()[len(s.Reveal())-StartBody:] }

func (Secret) String() string               { return "redacted" }
func (Secret) GoString() string             { return "redacted" }
func (Secret) MarshalText() ([]byte, error) { return []byte("redacted"), nil }
