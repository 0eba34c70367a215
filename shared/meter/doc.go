// Package meter keeps what keys were used for until it is handed on. So far that
// is the last use of each: when, and from where.
//
//	validator ──Note──► recent ──first of a second──► uses ──batch──► Sink
//	a gateway's report ─────Add───────────────────────►   │      keys, or the edge API
//	                                                      └ left, or failed: once more
//
// It owns the uses that nobody has heard of yet. The validator notes every
// request that it admits; app and shared/edge each run one Meter for their
// process, and edgeapi adds to the control plane's what gateways report.
//
// Invariants: Note costs a hash and a load, but for the first use of a key in a
// second, and never waits for a Sink. A key is handed on at most once a minute,
// the longest unheard of first, and no more than a batch at each beat: what is
// written is bounded whatever the traffic. So is memory, to 65,536 keys. A time
// never moves back and is never ahead of this process's clock.
package meter
