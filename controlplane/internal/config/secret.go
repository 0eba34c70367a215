package config

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "redacted"

// Secret is a text that cannot be printed, logged or encoded by accident;
// Reveal is the one way out. The text is behind a pointer because fmt prints
// the unexported fields of a struct that holds a Secret without asking
// Secret's own methods. The zero value is empty.
type Secret struct{ plain *string }

// NewSecret wraps a text; the empty text is the zero value.
func NewSecret(plain string) Secret {
	if plain == "" {
		return Secret{}
	}
	return Secret{plain: &plain}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.plain == nil {
		return ""
	}
	return *s.plain
}

// Empty reports whether there is no text.
func (s Secret) Empty() bool { return s.plain == nil }

// UnmarshalText takes the text of a variable.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(string(b))
	return nil
}

// Format answers every verb of fmt alike.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
