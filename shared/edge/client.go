package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey/latchkey/shared/wire"
)

const (
	dialTimeout = 2 * time.Second
	// attemptTimeout bounds each attempt of a look-up where there is another
	// address to try: one that hangs leaves time for the next.
	attemptTimeout = 200 * time.Millisecond
	maxToken       = 512
)

var (
	errNoToken = errors.New("edge: there is no edge token yet")
	// errStranger: something answered that is not a control plane.
	errStranger = errors.New("edge: the answer is not a control plane's")
	errTooLarge = errors.New("edge: the answer is too large")
)

// statusError is an answer that is not a success.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("edge: the control plane answered %d %s", int(e), http.StatusText(int(e)))
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// client calls the control plane at one of its addresses: the same for all
// calls, until one fails there. Safe for concurrent use.
type client struct {
	http    *http.Client
	hosts   []*url.URL
	current atomic.Uint32
	config  *Config
}

func newClient(c *Config) (*client, error) {
	hosts, err := c.complete()
	if err != nil {
		return nil, err
	}
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	return &client{hosts: hosts, config: c, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// post sends a message, within ctx and at each address at most once, and returns
// the body of the answer, of limit bytes at most. attempt bounds each try where
// there is another address left; 0 does not.
func (c *client) post(ctx context.Context, path string, message any, limit int64, attempt time.Duration) ([]byte, error) {
	body, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	for left := len(c.hosts) - 1; ; left-- {
		at := c.current.Load()
		answer, err := c.tryPost(ctx, at, path, body, limit, attempt*time.Duration(min(left, 1)))
		if err == nil || left == 0 || ctx.Err() != nil || errors.Is(err, errNoToken) {
			if err != nil {
				c.failed(at)
			}
			return answer, err
		}
		c.failed(at)
	}
}

// tell sends a message that nobody waits for, once, to the current address. Where
// it fails, the other calls find out for themselves.
func (c *client) tell(ctx context.Context, path string, message any) error {
	body, err := json.Marshal(message)
	if err == nil {
		_, err = c.tryPost(ctx, c.current.Load(), path, body, maxNoAnswer, 0)
	}
	return err
}

// failed moves every call on to the next address, once for all that failed at
// the one that was tried.
func (c *client) failed(at uint32) { c.current.CompareAndSwap(at, at+1) }

func (c *client) tryPost(ctx context.Context, at uint32, path string, body []byte, limit int64, attempt time.Duration) ([]byte, error) {
	if attempt > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, attempt)
		defer cancel()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address(at, path), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := c.send(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil && int64(len(answer)) > limit {
		err = errTooLarge
	}
	return answer, err
}

// stream opens the change stream at the current address. The caller closes it.
// at is for failed.
func (c *client) stream(ctx context.Context, query url.Values) (body io.ReadCloser, at uint32, err error) {
	at = c.current.Load()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address(at, wire.ChangesPath)+"?"+query.Encode(), nil)
	if err != nil {
		return nil, at, err
	}
	r.Header.Set("Accept", "text/event-stream")
	response, err := c.send(r)
	if err != nil {
		return nil, at, err
	}
	return response.Body, at, nil
}

func (c *client) address(at uint32, path string) string {
	return c.hosts[int(at)%len(c.hosts)].JoinPath(path).String()
}

// send adds what every call has, and answers for the answer's head.
func (c *client) send(r *http.Request) (*http.Response, error) {
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set(wire.Header, wire.Version)
	r.Header.Set("User-Agent", "latchkey-edge/"+c.config.Version)
	response, err := c.http.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	switch {
	case !wire.Speaks(response.Header):
		err = fmt.Errorf("%w: %w", errStranger, statusError(response.StatusCode))
	case response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNoContent:
		err = statusError(response.StatusCode)
	}
	if err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

// withoutURL drops the query from an error's text: it is long and the same.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("edge: %w", u.Err)
	}
	return err
}

// token returns the edge token. A file is read for every call, so that it may
// come later and be replaced at any time.
func (c *client) token() (string, error) {
	token := c.config.Token
	if c.config.TokenFile != "" {
		f, err := os.Open(c.config.TokenFile)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errNoToken, err)
		}
		defer func() { _ = f.Close() }()
		b, err := io.ReadAll(io.LimitReader(f, maxToken+1))
		if err != nil {
			return "", fmt.Errorf("%w: %w", errNoToken, err)
		}
		token = string(b)
	}
	token = strings.TrimSpace(token)
	if token == "" || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errNoToken // its text is never repeated
	}
	return token, nil
}
