package config

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"time"
)

// Config is the configuration of one control-plane process. It is read-only
// after EnsureSecrets. Names and defaults are in the tags and nowhere else.
type Config struct {
	// DatabaseURL is a PostgreSQL DSN; empty means a private PostgreSQL.
	DatabaseURL DatabaseURL `env:"DATABASE_URL"`
	Env         Environment `env:"LATCHKEY_ENV" envDefault:"development"`
	// Listen is for API and doors; in production the default is ":8080".
	Listen Address `env:"LATCHKEY_LISTEN" envDefault:"127.0.0.1:8080"`
	// OpsListen is for probes and metrics.
	OpsListen Address `env:"LATCHKEY_OPS_LISTEN" envDefault:"127.0.0.1:9464"`
	// DataDir holds the private PostgreSQL and generated secrets.
	DataDir string `env:"LATCHKEY_DATA_DIR" envDefault:".latchkey"`

	// SecretKey is the root of every derived key: see Key.
	SecretKey SecretKey `env:"SECRET_KEY"`
	// Peppers: the first digests new rows, all verify.
	Peppers Peppers `env:"LATCHKEY_PEPPERS"`
	// KeyPrefix is the prefix of new keys.
	KeyPrefix Prefix `env:"LATCHKEY_KEY_PREFIX" envDefault:"lk"`

	// AdminUsername names the first owner account, which is made only where a
	// password is given.
	AdminUsername     string       `env:"ADMIN_USERNAME" envDefault:"admin"`
	AdminPasswordHash PasswordHash `env:"ADMIN_PASSWORD_HASH"` // argon2id, PHC form
	AdminPassword     Secret       `env:"ADMIN_PASSWORD"`      // refused in production
	// BootstrapOpen lets the first management key be issued without the token.
	BootstrapOpen bool `env:"BOOTSTRAP_OPEN" envDefault:"false"`

	// AuthCacheTTL is the staleness budget: for how long a cached record may
	// answer while the change feed is not whole. Zero: not at all.
	AuthCacheTTL Seconds `env:"AUTH_CACHE_TTL_SECONDS" envDefault:"900"`
	// MissBudget bounds the look-ups of unknown fingerprints per network.
	MissBudget MissBudget `env:"LATCHKEY_MISS_BUDGET" envDefault:"50/s,200"`
	// AuthCacheMB bounds the memory of the record cache, in MiB.
	AuthCacheMB Megabytes `env:"AUTH_CACHE_MB" envDefault:"256"`

	// TrustedProxies are the networks whose forwarding headers are believed.
	TrustedProxies Networks `env:"TRUSTED_PROXIES"`
	// PublicURL is where clients reach this installation, without a slash at
	// its end; empty where links are to be relative.
	PublicURL PublicURL `env:"PUBLIC_URL"`
	// CookieSecure keeps the session cookie off plain HTTP. Where it is not set
	// it is on in production and where PublicURL is https.
	CookieSecure bool `env:"COOKIE_SECURE"`
	// CORSOrigins may call the API from a browser.
	CORSOrigins Origins `env:"CORS_ORIGINS"`

	LogLevel  LogLevel  `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat LogFormat `env:"LOG_FORMAT" envDefault:"auto"`
}

// productionListen replaces the default of LATCHKEY_LISTEN in production,
// where a listener that only this machine reaches serves nobody.
const productionListen = ":8080"

// Production reports whether defaults that are only safe on a laptop are
// refused.
func (c *Config) Production() bool { return c.Env == Production }

// StalenessBudget returns AuthCacheTTL as a duration.
func (c *Config) StalenessBudget() time.Duration { return time.Duration(c.AuthCacheTTL) }

// Key derives the 256-bit key of one purpose, such as "audit chain", from
// SECRET_KEY by HKDF-SHA-256 (RFC 5869). Keys of two purposes tell nothing of
// each other. It panics before SECRET_KEY is there, which is a defect of the
// caller: a key derived from nothing would be one that anyone can derive.
func (c *Config) Key(purpose string) [32]byte {
	if c.SecretKey.Empty() {
		panic("config: Key before EnsureSecrets")
	}
	derived, err := hkdf.Key(sha256.New, []byte(c.SecretKey.Reveal()), nil, "latchkey/"+purpose, 32)
	if err != nil {
		panic(fmt.Sprintf("config: deriving the key for %q: %v", purpose, err)) // only a length of ours could be wrong
	}
	return [32]byte(derived)
}
