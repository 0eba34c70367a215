package postgres

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// Keys that expire, or were last used, before a moment, in another order than
// that, stand in the index that has the order of the list, but not together.
// The index has those moments, too, behind its order: walking it drops what does
// not belong to the list before it reads a row of the table, a million entries
// in 25 ms. Only where a few keys are left is it better to find them all and
// sort them.
//
// The server would choose so itself, but for what it cannot know: that keys made
// long ago expire first and were used longest ago. It takes the place in the
// list and the moment to be independent, expects a handful and sorts thousands.
// So the choice is made here, where a list is of all keys; the ranges of others
// are different from each other, and it chooses for each.

// cut reports whether a filter cuts a list of all keys that is in another order.
func cut(f *keys.Filter) bool {
	return !ranged(f) && (f.ExpiresBefore != nil && f.SortBy != keys.ByExpiry || f.LastUsedBefore != nil && f.SortBy != keys.ByLastUse)
}

func (s *Keys) listCut(ctx context.Context, f *keys.Filter, rows *[]*keyRow, ask asker) error {
	left, err := s.expected(ctx, &keys.Filter{ExpiresBefore: f.ExpiresBefore, LastUsedBefore: f.LastUsedBefore})
	if err != nil {
		return err
	}
	way := sorting
	if left <= few*float64(f.Limit) {
		way = nothing
	}
	return ask.read(ctx, way, listQuery(s.db.bun, f).Model(rows))
}
