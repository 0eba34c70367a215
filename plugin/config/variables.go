package config

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxBudget = 24 * time.Hour // the change log keeps at least a day
	maxName   = 100
	maxToken  = 512
)

// variables reads values and gathers what is wrong with them.
type variables struct {
	from   Sources
	values map[string]string
	faults Faults
}

func (v *variables) fault(name, want string, args ...any) {
	v.faults = append(v.faults, name+": want "+fmt.Sprintf(want, args...))
}

// names are the variables; each but the last row may be given as NAME_FILE.
var names = []string{
	"LATCHKEY_URL", "LATCHKEY_EDGE_TOKEN", "LATCHKEY_GATEWAY_NAME", "LATCHKEY_ALLOW_HTTP",
	"AUTH_CACHE_TTL_SECONDS", "LATCHKEY_MAX_STALE", "LATCHKEY_SNAPSHOT", "AUTH_CACHE_MB", "LOG_LEVEL", "LATCHKEY_METRICS_LISTEN",
	"LATCHKEY_CA_FILE",
}

// tokenFile is not read here: the file may come later, and be replaced.
const tokenFile = "LATCHKEY_EDGE_TOKEN_FILE"

const fileSuffix = "_FILE"

// readAll gathers the variables of the file, then those of the environment over
// them, then reads what NAME_FILE names.
func (v *variables) readAll() {
	given := map[string]string{}
	for _, entry := range v.from.Environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			given[name] = value
		}
	}
	v.readFile(given["LATCHKEY_CONFIG"])
	for name, value := range given {
		if known(name) {
			v.values[name] = value
			// In whichever form, the environment's wins over the file's.
			if _, both := given[other(name)]; !both {
				delete(v.values, other(name))
			}
		}
	}
	for _, name := range names {
		path := v.values[name+fileSuffix]
		switch {
		case path == "":
		case v.values[name] != "":
			v.fault(name, "either this or %s%s, not both", name, fileSuffix)
		case name+fileSuffix != tokenFile:
			text, err := v.from.ReadFile(path)
			if v.values[name] = strings.TrimSpace(string(text)); err != nil || v.values[name] == "" {
				v.fault(name+fileSuffix, "the path of a file that can be read and is not empty")
			}
		}
	}
}

func known(name string) bool {
	return slices.Contains(names, name) || slices.Contains(names, strings.TrimSuffix(name, fileSuffix))
}

// other is the second form of a variable: NAME of NAME_FILE, and the reverse.
func other(name string) string {
	if bare, ok := strings.CutSuffix(name, fileSuffix); ok && !slices.Contains(names, name) {
		return bare
	}
	return name + fileSuffix
}

// readFile reads the file of variables: NAME=value in lines, empty ones and
// those that begin with # left out, the value in quotes or not.
func (v *variables) readFile(path string) {
	text, err := v.from.ReadFile(cmp.Or(path, DefaultFile))
	if err != nil {
		if path != "" {
			v.fault("LATCHKEY_CONFIG", "the path of a file that can be read")
		}
		return
	}
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "export "))
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !found || !known(name) {
			v.fault("LATCHKEY_CONFIG", "NAME=value with a variable of the gateway in line %d", n+1)
			continue
		}
		if value = unquote(strings.TrimSpace(value)); value != "" {
			v.values[name] = value
		}
	}
}

func unquote(value string) string {
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

// addresses checks what the edge will use: absolute http or https addresses.
func (v *variables) addresses(name string, allowHTTP bool) string {
	count := 0
	for address := range strings.SplitSeq(v.values[name], ",") {
		if address = strings.TrimSpace(address); address == "" {
			continue
		}
		count++
		u, err := url.Parse(address)
		switch {
		case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https":
			v.fault(name, "addresses such as https://keys.example.com, separated by commas, without user, query and fragment")
			return ""
		case u.Scheme == "http" && !loopback(u.Hostname()) && !allowHTTP:
			v.fault(name, "https, for the token would travel unencrypted; or LATCHKEY_ALLOW_HTTP=true in a closed network")
			return ""
		}
	}
	if count == 0 && v.values[name+fileSuffix] == "" {
		v.fault(name, "the address of the control plane, such as https://keys.example.com")
	}
	return v.values[name]
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (v *variables) flag(name string) bool {
	switch v.values[name] {
	case "true":
		return true
	case "", "false":
		return false
	}
	v.fault(name, "true or false")
	return false
}

func (v *variables) file(name string) string {
	path := v.values[name]
	if path != "" {
		if _, err := v.from.ReadFile(path); err != nil {
			v.fault(name, "the path of a file that can be read")
		}
	}
	return path
}

// absolute reads a path that does not depend on the folder that Kong works in.
func (v *variables) absolute(name string) string {
	path := v.values[name]
	if path != "" && !filepath.IsAbs(path) {
		v.fault(name, "an absolute path, such as /var/lib/latchkey/snapshot")
	}
	return path
}

func (v *variables) token(name, file string) Secret {
	token := v.values[name]
	switch {
	case token == "" && file == "":
		v.fault(name, "a management key with edge:connect, here or in the file that %s%s names", name, fileSuffix)
	case len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		v.fault(name, "a management key with edge:connect")
	case token != "":
		return Secret{plain: &token}
	}
	return Secret{}
}

func (v *variables) gateway(name string) string {
	value := v.values[name]
	if value == "" {
		host, err := v.from.Hostname()
		if err != nil || host == "" {
			v.fault(name, "a name for this gateway: the machine has none")
		}
		return host[:min(len(host), maxName)]
	}
	if len(value) > maxName || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		v.fault(name, "at most %d bytes without control characters", maxName)
	}
	return value
}

// budget reads whole seconds, which the control plane shares, and over them a
// duration of this gateway's own.
func (v *variables) budget(seconds, own string) time.Duration {
	budget := time.Duration(v.number(seconds, 900, 0, int(maxBudget/time.Second), "seconds")) * time.Second
	if text := v.values[own]; text != "" {
		var err error
		if budget, err = time.ParseDuration(text); err != nil || budget < 0 || budget > maxBudget {
			v.fault(own, "a duration such as 15m or 90s, from 0 to 24h")
		}
	}
	return budget
}

func (v *variables) number(name string, otherwise, least, most int, unit string) int {
	text := v.values[name]
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		v.fault(name, "whole %s from %d to %d", unit, least, most)
	}
	return n
}

func (v *variables) level(name string) (level slog.Level) {
	switch text := v.values[name]; text {
	case "":
	case "debug", "info", "warn", "error":
		_ = level.UnmarshalText([]byte(text)) // one of its own names
	default:
		v.fault(name, "debug, info, warn or error")
	}
	return level
}

func (v *variables) listen(name string) string {
	text := v.values[name]
	if text == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		v.fault(name, "host:port, such as 127.0.0.1:9465")
	}
	return text
}
