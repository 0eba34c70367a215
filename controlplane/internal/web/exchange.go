package web

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/latchkey/latchkey/controlplane/internal/access"
)

// exchange is what is known of one request and its response. There is one per
// request, made by begin; only the goroutine that serves the request uses it.
// It is itself the request's context, for what hands down many values one by one
// would copy the request as often.
type exchange struct {
	context.Context // the connection's
	settings        *Options
	id              string
	client          netip.Addr
	fromProxy       bool // the peer is one of TrustedProxies
	line            Line
	response        response
}

type exchangeKey struct{}

// Value finds the exchange, and else what the connection's context holds.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

// noSettings are those of a context outside the chain, as in the test of one
// handler.
var noSettings Options

func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{settings: &noSettings}
}

// RequestID returns the id of the request, "" outside the chain.
func RequestID(ctx context.Context) string { return exchangeOf(ctx).id }

// ClientAddr returns the client's address: the connection's, or behind trusted
// proxies the rightmost address of X-Forwarded-For that is not one of theirs.
// It is the zero Addr where that is not known, and a rule about addresses then
// refuses.
func ClientAddr(r *http.Request) netip.Addr { return exchangeOf(r.Context()).client }

type callerKey struct{}

// WithCaller returns a context in which c is the caller, and names c in the
// request's wide line.
func WithCaller(ctx context.Context, c access.Caller) context.Context {
	x := exchangeOf(ctx)
	x.line.Caller = string(c.Actor.Kind)
	if c.Actor.ID != "" {
		x.line.Caller += ":" + c.Actor.ID
	}
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns the caller that WithCaller put there. Where there is none it
// is the zero Caller, which may do nothing.
func CallerOf(ctx context.Context) access.Caller {
	c, _ := ctx.Value(callerKey{}).(access.Caller)
	return c
}
