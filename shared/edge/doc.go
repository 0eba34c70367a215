// Package edge is a gateway's half of the edge API: it keeps a validator whole
// by the control plane's change feed, and answers its look-ups.
//
//	control plane ──change, head, reset──► feed ──Apply, Heard, Reset──► Validator ◄── doors
//	              ◄──heartbeat, acks────── heart                             │ look-ups
//	              ◄──POST records───────── source ◄──────────────────────────┤
//	              ◄──POST usage─────────── meter ◄──what is admitted─────────┘
//	snapshot file ◄──Save, changes before they are confirmed──► Load, at the start
//
// It owns the connection: addresses and failover, the token, time and size
// limits, the place in the change log, and the moment up to which the feed is
// believed. The plugin makes one Edge per process, runs it, and asks its
// Validator.
//
// Invariants: nothing that a control plane, or what poses as one, answers makes
// the validator admit what it should not: what is torn is an error. A feed that
// is silent for three seconds is lost, open or not. The feed is believed only
// while heartbeats are taken, so that the control plane knows by when a gateway
// that it does not hear refuses by itself (wire.RefusesAfter). What a snapshot
// holds is covered by that too: it knows of every change that its writer has
// confirmed, and its writer is on the control plane's list as long as it counts.
package edge
