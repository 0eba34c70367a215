package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
)

// The types of the variables' values. Each reads itself, and its error says
// what would be right without repeating what was there: the values of several
// variables are secrets, and one put into the wrong variable is one still.

// Environment says what the installation is for.
type Environment string

// The environments.
const (
	Development Environment = "development"
	Production  Environment = "production"
)

// UnmarshalText reads one of the environments.
func (e *Environment) UnmarshalText(b []byte) error {
	return oneOf(e, string(b), Development, Production)
}

// LogFormat says how log lines are written.
type LogFormat string

// The formats. LogAuto is text on a terminal and JSON elsewhere.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// UnmarshalText reads one of the formats.
func (f *LogFormat) UnmarshalText(b []byte) error {
	return oneOf(f, string(b), LogAuto, LogText, LogJSON)
}

func oneOf[T ~string](into *T, text string, allowed ...T) error {
	if !slices.Contains(allowed, T(text)) {
		return fmt.Errorf("want one of %v", allowed)
	}
	*into = T(text)
	return nil
}

// LogLevel is the least level that is logged.
type LogLevel slog.Level

// UnmarshalText reads debug, info, warn or error.
func (l *LogLevel) UnmarshalText(b []byte) error {
	switch string(b) {
	case "debug", "info", "warn", "error":
		return (*slog.Level)(l).UnmarshalText(b)
	}
	return errors.New("want one of [debug info warn error]")
}

// Level returns the slog level.
func (l LogLevel) Level() slog.Level { return slog.Level(l) }

// Address is a TCP address to listen on, host:port; an empty host is all.
type Address string

// UnmarshalText reads host:port with a numeric port.
func (a *Address) UnmarshalText(b []byte) error {
	_, port, err := net.SplitHostPort(string(b))
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("want host:port, such as 127.0.0.1:8080 or :8080")
	}
	*a = Address(b)
	return nil
}

// Prefix is the prefix of new keys.
type Prefix string

// UnmarshalText reads what apikey.CheckPrefix accepts.
func (p *Prefix) UnmarshalText(b []byte) error {
	*p = Prefix(b)
	return apikey.CheckPrefix(string(b))
}

// Seconds is a duration that is written in whole seconds.
type Seconds time.Duration

// UnmarshalText reads 0 to 86400: the change log keeps at least a day, so no
// longer budget could be promised.
func (s *Seconds) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil || n > 86_400 {
		return errors.New("want whole seconds from 0 to 86400")
	}
	*s = Seconds(time.Duration(n) * time.Second)
	return nil
}

// Megabytes is an amount of memory in MiB.
type Megabytes int

// UnmarshalText reads 1 to 65536.
func (m *Megabytes) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 1 || n > 65_536 {
		return errors.New("want MiB from 1 to 65536")
	}
	*m = Megabytes(n)
	return nil
}

// MissBudget bounds the look-ups that one client network may cause.
type MissBudget struct {
	PerSecond int
	Burst     int
}

// UnmarshalText reads "rate/s,burst".
func (m *MissBudget) UnmarshalText(b []byte) error {
	rate, burst, found := strings.Cut(string(b), "/s,")
	perSecond, err1 := strconv.Atoi(rate)
	most, err2 := strconv.Atoi(burst)
	if !found || err1 != nil || err2 != nil || perSecond < 1 || most < 1 || perSecond > 1e6 || most > 1e6 {
		return errors.New("want rate per second and burst, such as 50/s,200, each from 1 to 1000000")
	}
	*m = MissBudget{PerSecond: perSecond, Burst: most}
	return nil
}

// Networks is a list of networks.
type Networks []netip.Prefix

// UnmarshalText reads CIDRs and single addresses, separated by commas.
func (n *Networks) UnmarshalText(b []byte) error {
	for _, item := range items(b) {
		network, err := apikey.ParseNetwork(item)
		if err != nil {
			return errors.New("want networks separated by commas, such as 10.0.0.0/8,2001:db8::/32")
		}
		*n = append(*n, network)
	}
	return nil
}

// PublicURL is the address under which clients reach the installation.
type PublicURL string

// UnmarshalText reads an absolute http or https address.
func (p *PublicURL) UnmarshalText(b []byte) error {
	u, err := url.Parse(string(b))
	if err != nil || !web(u) || u.RawQuery != "" {
		return errors.New("want an address such as https://keys.example.com, without query, fragment or user")
	}
	*p = PublicURL(strings.TrimRight(string(b), "/"))
	return nil
}

// HTTPS reports whether clients come over TLS.
func (p PublicURL) HTTPS() bool {
	return len(p) > 6 && strings.EqualFold(string(p[:6]), "https:")
}

// Origins is a list of web origins (RFC 6454).
type Origins []string

// UnmarshalText reads origins separated by commas; * alone stands for any.
func (o *Origins) UnmarshalText(b []byte) error {
	for _, item := range items(b) {
		u, err := url.Parse(item)
		if item != "*" && (err != nil || !web(u) || u.Path != "" || u.RawQuery != "") {
			return errors.New("want origins separated by commas, such as https://app.example.com, without a path; or * for any")
		}
		*o = append(*o, strings.ToLower(item))
	}
	return nil
}

func web(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.Fragment == ""
}

// items cuts a list at commas and drops what is empty.
func items(b []byte) []string {
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == ',' || r == ' ' })
}
