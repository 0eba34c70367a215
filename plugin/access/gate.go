package access

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/plugin/gateway"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Judge decides about one credential whose shape is right. It is safe for
// concurrent use, reads the request until it returns, bounds its own wait, and
// answers Undecided where it cannot decide.
type Judge interface {
	Validate(ctx context.Context, r *apikey.Request) apikey.Verdict
}

// Gate is what all routes of the process share. It is safe for concurrent use;
// its fields are not changed after the first Configure.
type Gate struct {
	Judge Judge
	// Prefixes returns the prefixes that the installation issues or has issued;
	// none while they are not known.
	Prefixes func() apikey.Prefixes
	// Heard is closed when they are known. May be nil where they always are.
	Heard <-chan struct{}
	// Trouble returns a line for Kong's log where requests are not decided and
	// an operator should know why; "" where there is nothing to say, or it was
	// said a moment ago. May be nil.
	Trouble func() string

	mu   sync.Mutex
	told map[string]bool // by plugin id: the log has its hint about scopes

	waiting atomic.Int64 // requests that wait for Heard
}

const (
	// mostTold bounds told; later plugins give no hint.
	mostTold = 10_000
	// mostWaiting bounds waiting; later requests are Undecided at once.
	mostWaiting = 1024
	// patience is what a request that waited for Heard may wait in all: as long
	// as one that waits for a look-up alone.
	patience = 500 * time.Millisecond
)

// handler is one instance of the plugin: a policy, ready to be applied.
type handler struct {
	gate     *Gate
	policy   Policy
	request  apikey.Request         // what the policy asks
	meanings map[string]meaning     // of headers, by their dashed form
	hint     atomic.Pointer[string] // for the log, at the next request
}

// Configure makes the handler of a route from the JSON that Kong sends. An error
// names everything that is wrong.
func (g *Gate) Configure(config []byte) (func(context.Context, *gateway.Phase) bool, error) {
	policy, err := parsePolicy(config)
	if err != nil {
		return nil, err
	}
	h := &handler{gate: g, policy: policy, meanings: meanings(&policy)}
	env, _ := apikey.ParseEnvironment(policy.Environment) // "" is any
	h.request = apikey.Request{Kind: apikey.KindAPI, Environment: env, Scopes: policy.Scopes, AnyScopes: policy.ScopesAny}
	if len(policy.Scopes)+len(policy.ScopesAny) == 0 {
		h.hint.Store(g.scopeHint(config))
	}
	return h.access, nil
}

// scopeHint returns what an operator should know about a policy without scopes,
// once for each place where Kong enables the plugin; nil afterwards. Kong starts
// an instance per worker, and all of them again with every change.
func (g *Gate) scopeHint(config []byte) *string {
	var at struct {
		Plugin  string `json:"__plugin_id"`
		Route   string `json:"route_id"`
		Service string `json:"service_id"`
	}
	_ = json.Unmarshal(config, &at) // it was parsed before; of other types: unknown
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told[at.Plugin] || len(g.told) >= mostTold {
		return nil
	}
	if g.told == nil {
		g.told = map[string]bool{}
	}
	g.told[at.Plugin] = true
	where := "every route"
	switch {
	case at.Route != "":
		where = "route " + at.Route
	case at.Service != "":
		where = "service " + at.Service
	}
	hint := "latchkey: " + where + " asks for no scopes, so every live key passes"
	return &hint
}

// access decides one request.
func (h *handler) access(ctx context.Context, p *gateway.Phase) bool {
	if h.hint.Load() != nil {
		if hint := h.hint.Swap(nil); hint != nil {
			_ = p.Log(gateway.Warn, *hint) // a failed call shows in the phase
		}
	}
	s := sent{h: h}
	c, err := h.find(p, &s)
	if err != nil {
		return false
	}
	if s.strips {
		_ = p.Exit(stripping) // a failed exit is seen by the server, as in refuse
		return false
	}
	if c.text == "" && !c.many && h.policy.Anonymous {
		return s.tell(p, &anonymous, false) == nil
	}
	req := h.request
	req.Client = &client{phase: p}
	verdict := h.judge(ctx, &c, &req)
	if p.Err() != nil {
		return false // what the judge asked of Kong was not answered
	}
	if verdict.Code == apikey.Undecided && h.gate.Trouble != nil {
		if line := h.gate.Trouble(); line != "" {
			_ = p.Log(gateway.Err, line) // a failed call shows in the phase
		}
	}
	if verdict.Code != apikey.Valid {
		return h.refuse(p, &verdict, &req)
	}
	return h.admit(p, &c, &s, &verdict.Record)
}

// judge decides about a credential. A key of another kind is left to the Judge,
// which finds that it does not exist here.
func (h *handler) judge(ctx context.Context, c *credential, req *apikey.Request) apikey.Verdict {
	switch {
	case c.many:
		return apikey.Verdict{Code: apikey.AmbiguousCredential}
	case c.text == "":
		return apikey.Verdict{Code: apikey.MissingCredential}
	}
	ctx, done := h.gate.await(ctx)
	defer done()
	prefixes := h.gate.Prefixes()
	if len(prefixes) == 0 {
		return apikey.Verdict{Code: apikey.Undecided}
	}
	token, ok := prefixes.Parse(c.text)
	if !ok {
		return apikey.Verdict{Code: apikey.Malformed}
	}
	req.Fingerprint = token.Fingerprint
	return h.gate.Judge.Validate(ctx, req)
}

// await waits until the control plane was heard of, where it never was: a gateway
// that has just started is not one that is cut off. The context that it returns
// ends when the request has waited long enough in all.
func (g *Gate) await(ctx context.Context) (context.Context, context.CancelFunc) {
	if len(g.Prefixes()) > 0 {
		return ctx, func() {}
	}
	ctx, done := context.WithTimeout(ctx, patience)
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) <= mostWaiting {
		select {
		case <-g.Heard:
		case <-ctx.Done():
		}
	}
	return ctx, done
}

// admit tells the upstream, and where asked for Kong's own plugins, who calls.
func (h *handler) admit(p *gateway.Phase, c *credential, s *sent, r *apikey.Record) bool {
	if h.policy.Authenticate {
		err := p.Authenticate(gateway.Caller{
			ConsumerID: r.User.ID, Username: r.User.Name, CustomID: r.User.ExternalID, CredentialID: r.Key.ID,
		})
		if err != nil {
			return false
		}
	}
	if c.query && h.policy.HideCredentials && p.SetRawQuery(c.rest) != nil {
		return false
	}
	who := identityOf(r)
	if s.tell(p, &who, c.bearer && h.policy.HideCredentials) != nil {
		return false
	}
	if by := r.Key.RotateBy; by != 0 {
		return p.SetResponse([]gateway.Header{{Name: apikey.RotateByHeader, Value: by.Time().Format(time.RFC3339)}}) == nil
	}
	return true
}

// client asks Kong about the client, once for each thing.
type client struct {
	phase        *gateway.Phase
	asked        [3]bool
	ip           netip.Addr
	method, path string
}

// IP is the client's address after Kong's trusted_ips were applied.
func (c *client) IP() netip.Addr {
	if !c.asked[0] {
		c.asked[0] = true
		if text, err := c.phase.ForwardedIP(); err == nil {
			ip, _ := netip.ParseAddr(text) // a Unix socket has none
			c.ip = ip.Unmap()
		}
	}
	return c.ip
}

// KnownIP is IP where it was asked for before.
func (c *client) KnownIP() (netip.Addr, bool) { return c.ip, c.asked[0] }

// Method is the request's method.
func (c *client) Method() string {
	if !c.asked[1] {
		c.asked[1] = true
		c.method, _ = c.phase.Method() // a failed call shows in the phase
	}
	return c.method
}

// Path is the request's path as it was sent.
func (c *client) Path() string {
	if !c.asked[2] {
		c.asked[2] = true
		c.path, _ = c.phase.Path() // a failed call shows in the phase
	}
	return c.path
}
