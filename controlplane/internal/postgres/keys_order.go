package postgres

import (
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// expirySQL and lastUseSQL are expires_at and last_used_at as lists are in the
// order of them: what never expires comes last, what was never used first.
const (
	expirySQL  = "COALESCE(k.expires_at, 'infinity')"
	lastUseSQL = "COALESCE(k.last_used_at, '-infinity')"
)

// order is what a list is sorted by; behind it ids make every place unique.
type order struct {
	of      string                 // as rows of keys have it
	ofParts string                 // as rows of parts have it
	after   func(*keys.Filter) any // what the last key of the page before had,
	kind    string                 // and the type of that
}

// The order of creation is that of the ids, to the millisecond, and an index of
// the whole table is in the order of them. Ranges are by time: else the server
// would rather walk the whole table, which is in that order on the disk too, and
// look for the few that belong to the list.
var (
	idOrder      = order{of: "k.id", ofParts: "k.id", after: func(f *keys.Filter) any { return f.After }}
	timeOrder    = order{of: "k.created_at", ofParts: "k.created_at", after: func(f *keys.Filter) any { return f.AfterCreated }, kind: "timestamptz"}
	nameOrder    = order{of: "k.name", ofParts: "k.name", after: func(f *keys.Filter) any { return f.AfterName }, kind: "text"}
	expiryOrder  = order{of: expirySQL, ofParts: "k.ends", after: func(f *keys.Filter) any { return momentOr("infinity", f.AfterExpires) }, kind: "timestamptz"}
	lastUseOrder = order{of: lastUseSQL, ofParts: "k.used", after: func(f *keys.Filter) any { return momentOr("-infinity", f.AfterUsed) }, kind: "timestamptz"}
)

// orderOf is the order of a list over the whole table.
func orderOf(f *keys.Filter) order {
	switch f.SortBy {
	case keys.ByName:
		return nameOrder
	case keys.ByExpiry:
		return expiryOrder
	case keys.ByLastUse:
		return lastUseOrder
	default:
		return idOrder
	}
}

// orderOfRanges is the order of a list within ranges.
func orderOfRanges(f *keys.Filter) order {
	if o := orderOf(f); o.of != idOrder.of {
		return o
	}
	return timeOrder
}

// page adds order, place and size.
func page(q *bun.SelectQuery, f *keys.Filter, o order) *bun.SelectQuery {
	if !f.After.IsZero() {
		q.Where("?", o.beyond(f, o.after(f), f.After))
	}
	return sorted(q, f, o.of)
}

// beyond is true for what comes after a place in the order of a list.
func (o order) beyond(f *keys.Filter, value, id any) schema.QueryWithArgs {
	if o.of == idOrder.of {
		return bun.SafeQuery("k.id "+onward(f)+" ?", id)
	}
	return bun.SafeQuery("("+o.of+", k.id) "+onward(f)+" (?, ?)", value, id)
}

// onward and back compare to the direction of a list and against it.
func onward(f *keys.Filter) string {
	if f.Ascending {
		return ">"
	}
	return "<"
}

func back(f *keys.Filter) string {
	if f.Ascending {
		return "<"
	}
	return ">"
}

// sorted adds order and size.
func sorted(q *bun.SelectQuery, f *keys.Filter, by string) *bun.SelectQuery {
	direction := " DESC"
	if f.Ascending {
		direction = " ASC"
	}
	if by != idOrder.of {
		q.OrderExpr(by + direction)
	}
	return q.OrderExpr("k.id" + direction).Limit(int64(f.Limit))
}

// momentOr is a time as an order has it.
func momentOr(never string, at *time.Time) any {
	if at == nil {
		return never
	}
	return *at
}
