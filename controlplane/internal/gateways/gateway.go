// Package gateways knows which gateways there are, how far each followed the
// change log, and by when one that is silent refuses by itself.
//
//	edgeapi ──stream opened, heartbeat──► Seen ──► Store ◄── Roll ── Confirm ──► Receipt
//	                                                 ▲                  (any replica)
//	                                   Keep: forgets gateways, prunes the change log
//
// It owns the Receipt: the proof that a change is enforced. Invariants: a
// gateway that might still admit somebody by what it cached is on the roll; a
// receipt counts a gateway as having confirmed only where it said so, in the
// same history of the log; all moments are of one clock, the database's, so
// that replicas' clocks do not matter. Called by edgeapi and the admin API; the
// postgres adapter is its Store.
package gateways

import (
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/shared/wire"
)

// Gateway is one process at the edge, as it last said.
type Gateway struct {
	Instance uuid.UUID // drawn anew by each process
	Name     string
	Version  string
	Address  string        // that it called from, "" where that is not known
	Budget   time.Duration // how long it uses cached records without the feed
	// Applied is the change number up to which it applied everything, in the
	// history Epoch; 0 and "" for one that has just begun.
	Applied int64
	Epoch   string

	RegisteredAt, LastSeenAt time.Time // on the database's clock
}

// ID is the instance as an id of Latchkey.
func (g *Gateway) ID() id.Gateway { return id.From[id.GatewayKind](g.Instance) }

// RefusesBy is the moment from which on the gateway admits nobody by what it
// cached, if it hears nothing more.
func (g *Gateway) RefusesBy() time.Time { return g.LastSeenAt.Add(wire.RefusesAfter(g.Budget)) }

// confirms reports whether the gateway said that it applied a change.
func (g *Gateway) confirms(change int64, epoch string) bool {
	return g.Epoch == epoch && g.Applied >= change
}

// Bounds on what a gateway says of itself.
const (
	maxText   = 100
	maxBudget = 30 * 24 * time.Hour
)

// Parse reads what a gateway says of itself.
func Parse(said wire.Gateway, at wire.Position, address string) (Gateway, error) {
	var f fault.Fields
	instance, err := uuid.Parse(said.Instance)
	f.Check(err == nil && instance != uuid.Nil, "instance", "a UUID that this process drew")
	f.Check(said.Name != "" && len(said.Name) <= maxText && printable(said.Name), "gateway", "a name of 1 to %d printable bytes", maxText)
	f.Check(len(said.Version) <= maxText && printable(said.Version), "version", "at most %d printable bytes", maxText)
	f.Check(said.BudgetMS >= 0 && said.BudgetMS <= maxBudget.Milliseconds(), "stale_budget_ms", "0 to %d", maxBudget.Milliseconds())
	f.Check(at.After >= 0, "applied", "a change number")
	f.Check(len(at.Epoch) <= maxText && printable(at.Epoch), "epoch", "the epoch of a head or reset")
	return Gateway{
		Instance: instance, Name: said.Name, Version: said.Version, Address: address, Budget: said.Budget(),
		Applied: at.After, Epoch: at.Epoch,
	}, f.Err()
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
