package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/latchkey/latchkey/controlplane/internal/app"
)

// places is where everything of a running server is.
type places struct {
	Version    string `json:"version"`
	URL        string `json:"url"`
	DocsURL    string `json:"docs_url"`
	OpsURL     string `json:"ops_url"`
	DataDir    string `json:"data_dir"`
	PostgreSQL string `json:"postgresql"`
	// SetupToken makes the first management key; "" where there is one.
	SetupToken string `json:"setup_token,omitempty"`

	program string
}

func placesOf(ctx context.Context, a *app.App, s *session) (places, error) {
	p := places{
		Version: s.env.Version, URL: httpURL(a.Addr()), OpsURL: httpURL(a.OpsAddr()),
		DataDir: absolute(a.Config.DataDir), PostgreSQL: postgresPlace(a.Core), program: s.program,
	}
	public := p.URL
	if a.Config.PublicURL != "" {
		public = string(a.Config.PublicURL)
	}
	p.DocsURL = public + "/docs"
	token, open, err := a.Bootstrap.Token(ctx)
	if err != nil {
		return p, err
	}
	if open {
		p.SetupToken = token.Reveal()
	}
	return p, nil
}

// httpURL is how somebody on this machine reaches a listener.
func httpURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// postgresPlace says where the database is, without any password.
func postgresPlace(c *app.Core) string {
	if dir := c.PrivateDir(); dir != "" {
		return "private, in " + dir
	}
	if u, err := url.Parse(c.DSN); err == nil && u.Host != "" {
		return "external, " + u.Host + u.Path
	}
	return "external, from DATABASE_URL"
}

func writeJSONLine(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

// writeBanner is the end of a start, for people.
func (p places) writeBanner(w io.Writer) error {
	_, err := fmt.Fprintf(w, `
Latchkey %s is up.

  API and doors     %s
  API docs          %s
  Probes, metrics   %s/readyz, %s/metrics
  Data directory    %s
  PostgreSQL        %s

`, p.Version, p.URL, p.DocsURL, p.OpsURL, p.OpsURL, p.DataDir, p.PostgreSQL)
	if err != nil {
		return err
	}
	if err := p.writeSetup(w); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "Try it, in another terminal here: %s try\n\n", p.program)
	return err
}

// writeSetup says how to make the first management key, while there is none.
func (p places) writeSetup(w io.Writer) error {
	if p.SetupToken == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, `There is no management key yet. This makes the first, and ends the set-up:

  curl -sS %s/api/v1/keys \
    -H 'Authorization: Bearer %s' \
    -H 'Content-Type: application/json' \
    -d '{"kind":"management","name":"admin","scopes":["*"]}'

`, p.URL, p.SetupToken)
	return err
}

// curl is a request for a key, to be pasted into a shell.
func curl(base, key string) string {
	return strings.Join([]string{
		"curl -sS " + base + "/v1/auth", "-H 'Content-Type: application/json'", fmt.Sprintf(`-d '{"auth_key":"%s"}'`, key),
	}, " \\\n    ")
}
