package server

import (
	"context"

	"github.com/latchkey/latchkey/plugin/gateway"
)

// Plugin is what the server serves.
type Plugin struct {
	Version  string
	Priority int // Kong runs the higher first
	// Config is a value of the configuration struct; its exported fields are
	// the schema that Kong checks configurations against.
	Config any
	// Configure makes a handler from one route's configuration, which is JSON:
	// unset fields are absent, and Kong adds __plugin_id, __seq__, route_id and
	// others. An error, or a panic, makes every request of that route 500.
	Configure func(config []byte) (Handler, error)
	// Run, where there is one, is what the process does beside its requests. Its
	// ctx ends when the server does, which waits for it. An error is logged, and
	// requests are answered all the same.
	Run func(ctx context.Context) error
	// Fault answers a request that a bug or a wrong configuration left
	// undecided. Its zero value stands for a plain problem document.
	Fault gateway.Reply
}

// Handler decides the access phase of one request: true lets it on, false comes
// after Exit. Anything else (false without Exit, a panic, true after a call
// that failed) is answered with Plugin.Fault. It is called concurrently; ctx
// ends when the process does, so waits need a deadline of their own.
type Handler func(ctx context.Context, p *gateway.Phase) (allowed bool)

// faultReply is the problem document for a server without one of its own.
var faultReply = gateway.Reply{
	Status: 500,
	Body:   []byte(`{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal"}`),
	Headers: []gateway.Header{
		{Name: "Content-Type", Value: "application/problem+json"},
		{Name: "Cache-Control", Value: "no-store"},
	},
}
