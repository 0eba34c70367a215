package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/config"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/apikey"
)

// door is a client of POST /v1/auth.
type door struct {
	base   string
	client *http.Client
	now    func() time.Time
}

// answer is what a door said of a key.
type answer struct {
	Status       int     `json:"status"`
	Code         string  `json:"code"`
	Detail       string  `json:"detail,omitempty"`
	Milliseconds float64 `json:"milliseconds"`
}

// newDoor returns the client of a server that is still to be found.
func newDoor(now func() time.Time) *door {
	return &door{now: now, client: &http.Client{
		Transport: &http.Transport{}, Timeout: 5 * time.Second,
		// A key goes where it was sent and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// candidates are where a server may be: where it is said to be, else where the
// configuration lets it listen, and where clients are sent to.
func candidates(said string, c *config.Config) []string {
	if said != "" {
		return []string{said}
	}
	all := []string{httpURL(string(c.Listen))}
	if c.PublicURL != "" {
		all = append(all, string(c.PublicURL))
	}
	return all
}

func (d *door) close() { d.client.CloseIdleConnections() }

// find reports whether a Latchkey answers at one of the addresses, and goes
// there: it is known by how it refuses a question without a key. An error means
// that an address makes no sense.
func (d *door) find(ctx context.Context, bases []string) (bool, error) {
	for _, base := range bases {
		d.base = strings.TrimRight(base, "/")
		if u, err := url.Parse(d.base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return false, fault.New(fault.Invalid, "this is no address of a server").WithFix("write --url http://127.0.0.1:8080")
		}
		a, err := d.ask(ctx, "")
		if err == nil && a.Code == apikey.MissingCredential.String() || ctx.Err() != nil {
			return err == nil, ctx.Err()
		}
	}
	d.base = strings.TrimRight(bases[0], "/")
	return false, nil
}

func (d *door) request(ctx context.Context, key string) (*http.Request, error) {
	body, err := json.Marshal(map[string]string{"auth_key": key})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+"/v1/auth", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}

// ask asks about a key once.
func (d *door) ask(ctx context.Context, key string) (a answer, err error) {
	r, err := d.request(ctx, key)
	if err != nil {
		return a, err
	}
	asked := d.now()
	response, err := d.client.Do(r)
	if err != nil {
		return a, fault.Wrap(err, fault.Unavailable, "the server at %s does not answer", d.base)
	}
	defer response.Body.Close()
	const most = 64 << 10
	body, err := io.ReadAll(io.LimitReader(response.Body, most))
	a.Milliseconds = d.since(asked)
	if err != nil {
		return a, fault.Wrap(err, fault.Unavailable, "the server at %s does not answer", d.base)
	}
	a.Status = response.StatusCode
	if err := json.Unmarshal(body, &struct {
		Code   *string `json:"code"`
		Detail *string `json:"detail"`
	}{&a.Code, &a.Detail}); err != nil {
		return a, fault.New(fault.Unavailable, "what answers at %s is no Latchkey (status %d)", d.base, a.Status)
	}
	return a, nil
}

// askUntilRefused asks again and again until the key is refused, and returns the
// refusal with the time that this took.
func (d *door) askUntilRefused(ctx context.Context, key string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for from := d.now(); ; {
		a, err := d.ask(ctx, key)
		if err != nil {
			return a, err
		}
		if a.Status == http.StatusUnauthorized {
			a.Milliseconds = d.since(from)
			return a, nil
		}
		if a.Status != http.StatusOK {
			return a, fault.New(fault.Unavailable, "the server at %s answers %d %s", d.base, a.Status, a.Code)
		}
	}
}

func (d *door) since(t time.Time) float64 {
	const perMillisecond = float64(time.Millisecond)
	return float64(d.now().Sub(t)) / perMillisecond
}
