package wire

import (
	"errors"
	"net/url"
	"strconv"
	"time"
)

// Gateway is what a gateway says of itself: in the query of its change stream,
// and in every heartbeat.
type Gateway struct {
	// Instance is a UUID that each process draws anew.
	Instance string `json:"instance"`
	Name     string `json:"gateway"`
	Version  string `json:"version"`
	// BudgetMS is the staleness budget in milliseconds: how long cached records
	// are used without the feed.
	BudgetMS int64 `json:"stale_budget_ms"`
}

// Budget returns the staleness budget.
func (g *Gateway) Budget() time.Duration { return time.Duration(g.BudgetMS) * time.Millisecond }

// Position is a place in the change log: everything up to After, a number of the
// history Epoch, was applied. Its zero value is no place, as of a fresh gateway.
type Position struct {
	After int64  `json:"applied"`
	Epoch string `json:"epoch"`
}

// Heartbeat says that a gateway lives, and how far it got.
type Heartbeat struct {
	Gateway
	Position
	// Leaving says that the process ends: it admits nobody from here on.
	Leaving bool `json:"leaving,omitempty"`
}

// ChangesQuery writes what the request for a change stream asks.
func ChangesQuery(g Gateway, p Position) url.Values {
	q := url.Values{
		"instance": {g.Instance}, "gateway": {g.Name}, "version": {g.Version},
		"stale_budget_ms": {strconv.FormatInt(g.BudgetMS, 10)},
	}
	if p.Epoch != "" {
		q.Set("after", strconv.FormatInt(p.After, 10))
		q.Set("epoch", p.Epoch)
	}
	return q
}

// ParseChangesQuery reads what ChangesQuery writes. A number without an epoch is
// no place: it may be of any history.
func ParseChangesQuery(q url.Values) (g Gateway, p Position, err error) {
	g = Gateway{Instance: q.Get("instance"), Name: q.Get("gateway"), Version: q.Get("version")}
	number := func(name string) int64 {
		if !q.Has(name) {
			return 0
		}
		n, parseErr := strconv.ParseInt(q.Get(name), 10, 64)
		if parseErr != nil || n < 0 {
			err = errors.New("query." + name + " is not a number of 0 or more")
		}
		return n
	}
	g.BudgetMS, p.After, p.Epoch = number("stale_budget_ms"), number("after"), q.Get("epoch")
	if p.Epoch == "" {
		p = Position{}
	}
	return g, p, err
}
