// Package echo is the configuration of the plugin that the harness is tested
// with, once on go-pdk's server and once on Latchkey's.
package echo

// Config has a field of every kind that Kong's schema can say.
type Config struct {
	Mode  string            `json:"mode"`  // what Access does
	Read  string            `json:"read"`  // the header it reads, X-API-Key
	Names []string          `json:"names"` // more headers to set at the upstream
	Cost  int               `json:"cost"`
	Rate  float64           `json:"rate"`
	On    bool              `json:"on"`
	Size  uint              `json:"size"`
	Tags  map[string]string `json:"tags"`
	Rules []Rule            `json:"rules"`
	Deep  struct{ Inner *Rule }
	inner int //nolint:unused // not part of the schema
}

// Rule is a nested record.
type Rule struct {
	Name string `json:"name"`
	Most int32  `json:"most"`
}

// New is the configuration with its default.
func New() *Config { return &Config{Read: "X-API-Key"} }

// Version and Priority are what both plugins say of themselves.
const (
	Version  = "1.2.3"
	Priority = 1250
)
