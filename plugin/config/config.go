package config

import (
	"log/slog"
	"strings"
	"time"
)

// Config is the configuration of one plugin process.
type Config struct {
	// URLs are the addresses of the control plane, separated by commas.
	URLs string
	// AllowHTTP lets the edge token travel unencrypted to another host.
	AllowHTTP bool
	// CAFile holds certificates in PEM for https; "" is the machine's own.
	CAFile string
	// Token is the management key with edge:connect, or TokenFile is where it is
	// or will be.
	Token     Secret
	TokenFile string
	// Gateway is the name by which operators know this gateway.
	Gateway string
	// StaleBudget is how long cached records answer while the control plane is
	// away; 0: not at all.
	StaleBudget time.Duration
	// Snapshot is the path of the file by which cached records outlive the
	// process; "" is none.
	Snapshot string
	// CacheMB bounds the memory of the record cache, in MiB.
	CacheMB int
	// LogLevel is the least level that is written to the process's output.
	LogLevel slog.Level
	// MetricsListen is where metrics and health are answered; "" is nowhere.
	MetricsListen string
}

// Secret is a text that cannot be printed by accident; Reveal is the one way
// out. The text is behind a pointer because fmt prints the unexported fields of
// a struct that holds a Secret without asking Secret's own methods.
type Secret struct{ plain *string }

// Reveal returns the text, "" where there is none.
func (s Secret) Reveal() string {
	if s.plain == nil {
		return ""
	}
	return *s.plain
}

func (Secret) String() string               { return "redacted" }
func (Secret) GoString() string             { return "redacted" }
func (Secret) MarshalText() ([]byte, error) { return []byte("redacted"), nil }

// Faults is the error of Load: everything that is wrong, one entry for each
// variable.
type Faults []string

// Error is one line, for Kong's log is one of lines.
func (f Faults) Error() string { return strings.Join(f, "; ") }

// DefaultFile is read where LATCHKEY_CONFIG names no other, if it is there.
const DefaultFile = "/etc/latchkey/gateway.env"

// Sources are where Load reads from.
type Sources struct {
	Environ  []string // as os.Environ returns it
	ReadFile func(path string) ([]byte, error)
	Hostname func() (string, error)
}

// Load reads the configuration. The environment wins over the file; an empty
// variable is an absent one. The error is a Faults.
func Load(from Sources) (Config, error) {
	v := variables{from: from, values: map[string]string{}}
	v.readAll()
	allowHTTP := v.flag("LATCHKEY_ALLOW_HTTP")
	c := Config{
		URLs:          v.addresses("LATCHKEY_URL", allowHTTP),
		AllowHTTP:     allowHTTP,
		CAFile:        v.file("LATCHKEY_CA_FILE"),
		TokenFile:     v.values["LATCHKEY_EDGE_TOKEN_FILE"],
		Gateway:       v.gateway("LATCHKEY_GATEWAY_NAME"),
		StaleBudget:   v.budget("AUTH_CACHE_TTL_SECONDS", "LATCHKEY_MAX_STALE"),
		Snapshot:      v.absolute("LATCHKEY_SNAPSHOT"),
		CacheMB:       v.number("AUTH_CACHE_MB", 256, 1, 65_536, "MiB"),
		LogLevel:      v.level("LOG_LEVEL"),
		MetricsListen: v.listen("LATCHKEY_METRICS_LISTEN"),
	}
	c.Token = v.token("LATCHKEY_EDGE_TOKEN", c.TokenFile)
	if len(v.faults) > 0 {
		return Config{}, v.faults
	}
	return c, nil
}
