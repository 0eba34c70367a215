package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

// Config is what an Edge is made of.
type Config struct {
	// URLs are the control plane's addresses, separated by commas. The next is
	// used when one fails.
	URLs string
	// AllowHTTP lets the token travel unencrypted to another host.
	AllowHTTP bool
	// CAFile holds the certificates, in PEM, by which https is trusted; "" is
	// the machine's own.
	CAFile string
	// Token is the management key with edge:connect; or TokenFile is where it
	// is, or will be: it is read again for every call.
	Token, TokenFile string
	// Gateway is the name by which operators know this gateway.
	Gateway string
	Version string
	// Validator configures the validator; its Source, Now and Meter are the edge's.
	// Its StaleBudget is told to the control plane.
	Validator validator.Config
	Now       func() time.Time
	// Failed hears of every lost feed and of heartbeats that are not taken; it
	// must return at once. May be nil.
	Failed func(error)
	// Snapshot is the path of a file, of this gateway alone, by which cached
	// records outlive the process; "": they do not. <path>.new and <path>.lock
	// are used too. It has no use with a StaleBudget of 0.
	Snapshot string
	// Note hears, in one line each, what became of the snapshot: used, ignored
	// and why, not saved and why. It must return at once. May be nil.
	Note func(line string)

	dial      dialer        // of tests; nil: the network
	saveEvery time.Duration // of tests; 0: a minute
}

// What a gateway says of itself is bounded as the control plane bounds it.
const (
	maxName    = 100
	maxVersion = 64
)

// complete reports every fault of the configuration at once.
func (c *Config) complete() (hosts []*url.URL, err error) {
	var faults []error
	for _, address := range strings.Split(c.URLs, ",") {
		if address = strings.TrimSpace(address); address == "" {
			continue
		}
		host, err := c.host(address)
		faults, hosts = append(faults, err), append(hosts, host)
	}
	if len(hosts) == 0 {
		faults = append(faults, errors.New("no address of a control plane"))
	}
	if (c.Token == "") == (c.TokenFile == "") {
		faults = append(faults, errors.New("either a token or a file that holds it"))
	}
	if c.Gateway == "" || len(c.Gateway) > maxName || len(c.Version) > maxVersion {
		faults = append(faults, fmt.Errorf("a gateway name of 1 to %d bytes, a version of at most %d", maxName, maxVersion))
	}
	if c.Now == nil {
		faults = append(faults, errors.New("a clock"))
	}
	if c.Failed == nil {
		c.Failed = func(error) {}
	}
	if c.Note == nil {
		c.Note = func(string) {}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("edge: wanted: %w", err)
	}
	return hosts, nil
}

// host reads one address. It does not repeat the text, which may hold a password.
func (c *Config) host(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("addresses such as https://keys.example.com, without user, query and fragment")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) && !c.AllowHTTP {
		return nil, fmt.Errorf("https to %s: the token would travel unencrypted", u.Hostname())
	}
	return u, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// transport is HTTP/1.1 alone, so that a connection that hangs takes one call
// down and not all of them; and without proxies, which would see the token.
func (c *Config) transport() (*http.Transport, error) {
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  wire.Lost,
		MaxResponseHeaderBytes: 32 << 10,
		MaxIdleConnsPerHost:    lookupCalls + 2,
		IdleConnTimeout:        90 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if c.dial != nil {
		t.DialContext = c.dial
	}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("edge: certificates: %w", err)
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("edge: %s holds no certificate in PEM", c.CAFile)
	}
	return t, nil
}
