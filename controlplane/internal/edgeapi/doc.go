// Package edgeapi is the HTTP adapter of the edge API, the control plane's side
// of shared/edge: records, the change feed, heartbeats, usage.
//
//	Follower ──Reset, Apply, Heard──► Hub ──ring──► stream ──► gateway     one read a change
//	                                   ▲              │ behind the ring: the log, once
//	POST records ──► validator.Source  └── wake-ups ──┘
//	POST heartbeat, GET changes ──► gateways
//	POST usage ──► meter
//
// Invariants: the one that tells of changes never waits for a listener; a
// listener gets every change after its place, in order, or a reset, or its
// stream ends; a head is told only where this replica read it from the primary a
// moment ago; nobody without edge:connect hears anything, nor goes on hearing
// once the key is no longer good. Wired by app.
package edgeapi
