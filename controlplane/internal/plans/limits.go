package plans

import (
	"context"
	"fmt"
	"slices"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/limits"
)

// known reads limits. They are never removed, and their names never change, so
// what is true of them here stays true.
func (s *Service) known(ctx context.Context, wanted []id.Limit) (map[id.Limit]limits.Limit, error) {
	found := map[id.Limit]limits.Limit{}
	if len(wanted) == 0 || len(wanted) > MaxLimits {
		return found, nil
	}
	all, err := s.limits.List(ctx, limits.Filter{IDs: wanted, Limit: len(wanted)})
	for _, l := range all {
		found[l.ID] = l
	}
	return found, err
}

func (p *Plan) checkLimits(f *fault.Fields, known map[id.Limit]limits.Limit, had []id.Limit) {
	if len(p.LimitIDs) > MaxLimits {
		f.Add("body.limit_ids", "at most %d", MaxLimits)
		return
	}
	names := map[string]bool{}
	for i, limit := range p.LimitIDs {
		at, l := fmt.Sprintf("body.limit_ids[%d]", i), known[limit]
		switch {
		case l.ID.IsZero():
			f.Add(at, "there is no such limit")
			continue
		case names[l.Name]:
			f.Add(at, "another limit of this plan has the same name")
		case l.ArchivedAt != nil && !slices.Contains(had, limit):
			f.Add(at, "this limit is archived")
		}
		names[l.Name] = true
	}
}
