// Package wire is the edge API's messages, written once for both sides: the
// control plane's edgeapi writes what shared/edge reads, and the reverse.
//
//	POST /edge/v1/records    RecordsRequest ──► RecordsAnswer (a Record, or null, for each)
//	GET  /edge/v1/changes    Gateway, Position ──► events: change, head, reset
//	POST /edge/v1/heartbeat  Heartbeat ──► 204
//	POST /edge/v1/usage      Usage ──► 204
//
// It owns names, forms, sizes and the times that both sides count by. Members
// that a reader does not know are ignored; what would be unsafe to ignore is
// named in a record's needs, and a reader that does not know it cannot decide.
//
// Invariant: what is torn, of another version, or lacks a member of this one is
// an error, never a Record.
package wire

import (
	"net/http"
	"time"
)

// Header is sent both ways, with Version: an answer without it is not from a
// control plane, whatever its status.
const (
	Header  = "Latchkey-Edge"
	Version = "1"
)

// The addresses of the calls.
const (
	RecordsPath   = "/edge/v1/records"
	ChangesPath   = "/edge/v1/changes"
	HeartbeatPath = "/edge/v1/heartbeat"
	UsagePath     = "/edge/v1/usage"
)

// Sizes, in bytes where not said otherwise.
const (
	// MaxFingerprints is how many one request for records may name.
	MaxFingerprints = 256
	// MaxAnswer is the largest answer with records.
	MaxAnswer = 16 << 20
	// MaxEvent is the largest event of a stream.
	MaxEvent = 1 << 20
)

// The times that both sides count by.
const (
	// Lost is the silence after which a change feed counts as lost.
	Lost = 3 * time.Second
	// HeartbeatInterval is the time between two heartbeats.
	HeartbeatInterval = 2 * time.Second
	// ContactLimit is how long a gateway goes on believing its change feed
	// without the control plane having taken a heartbeat. It is what makes
	// RefusesAfter true of a gateway whose stream lives and whose heartbeats fail.
	ContactLimit = 5 * time.Second
	// seenLoss is how much of what it saw last the control plane may forget when
	// its database crashes: heartbeats are committed without waiting for the disk
	// (PostgreSQL, synchronous_commit: three times wal_writer_delay).
	seenLoss = time.Second
)

// RefusesAfter returns how long after its last heartbeat arrived a gateway
// admits nobody any more by itself, if it hears nothing from then on. budget is
// its staleness budget.
func RefusesAfter(budget time.Duration) time.Duration {
	return max(budget, Lost) + ContactLimit + seenLoss
}

// Speaks reports whether a message's header says that it is of this protocol.
func Speaks(h http.Header) bool { return h.Get(Header) == Version }
