// Package server is the plugin's side of Kong's plugin-server protocol: flags,
// -dump, the Unix socket, one goroutine per connection, plugin instances, and
// the end of the process. The plugin's main calls Main; nobody else does.
//
// It stands in the place of go-pdk's own server (github.com/Kong/go-pdk/server
// v0.11.2) and speaks the same protocol, with what an access gate needs beyond
// it: a panic is answered with 500 instead of taking every request in flight
// down; a request passes only if its handler said so; a wrong configuration
// answers 500 instead of a broken connection; instances live until Kong closes
// them or for an hour unused; the socket is the owner's alone; and the process
// ends when its Kong is gone.
//
// Invariants: no request is let through by a panic, a failed call or a missing
// decision. A connection is never closed in answer to an event, except one for
// an instance that this process does not know (the protocol's way to have it
// started again): Kong repeats an event whose connection was closed, at once
// and for ever.
package server
