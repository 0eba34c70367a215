package keys

import (
	"context"
	"slices"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// Act is what is done with many keys.
type Act string

// The acts.
const (
	ActRevoke  Act = "revoke"
	ActDisable Act = "disable"
	ActEnable  Act = "enable"
	ActTag     Act = "tag"
)

// Action is done with every key that a filter leaves. The filter must leave
// some out, for all of them is hardly ever meant.
type Action struct {
	Act                 Act
	Filter              Filter     // its order counts for nothing
	Revocation          Revocation // of ActRevoke
	AddTags, RemoveTags []string   // of ActTag
	DryRun              bool       // only count
	After               id.Key     // Next of the call before
}

// Outcome is how far an action came.
type Outcome struct {
	Matched int // keys that the filter leaves
	Changed int // keys that are otherwise now, successors included
	Refused int // keys that the caller may not change, or that have too many tags
	// Next is where to go on; zero: everything is done.
	Next id.Key
}

// actPatience is how long one call acts before it says how far it came.
const actPatience = 10 * time.Second

// ActOn does an action, up to MaxBatch keys in a transaction. It needs
// keys:write, and for each management key every scope that it holds: others are
// left as they are, and counted.
func (s *Service) ActOn(ctx context.Context, caller access.Caller, a Action) (out Outcome, err error) {
	if err := caller.Require(access.KeysWrite); err != nil {
		return out, err
	}
	edit, err := s.editOf(&a)
	if err != nil {
		return out, err
	}
	some, err := s.resolve(ctx, &a.Filter)
	if err != nil {
		return out, fault.Within(err, "query", "body.filter")
	}
	if !some {
		return out, nil
	}
	if a.DryRun {
		out.Matched, err = s.store.Count(ctx, a.Filter)
		return out, err
	}
	a.Filter.SortBy, a.Filter.Ascending, a.Filter.After, a.Filter.Limit = ByCreation, true, a.After, MaxBatch
	for start := s.now(); ; {
		n, err := s.actOnBatch(ctx, caller, &a, edit, &out)
		if err != nil || n < MaxBatch {
			out.Next = id.Key{}
			return out, err
		}
		out.Next = a.Filter.After
		if s.now().Sub(start) >= actPatience {
			return out, nil
		}
	}
}

func (s *Service) actOnBatch(ctx context.Context, caller access.Caller, a *Action, edit func(*Key) error, out *Outcome) (int, error) {
	changed := map[id.Key]bool{} // false: refused; by key, for the store may edit one again
	sel := Selection{Filter: &a.Filter, Successors: a.Act == ActRevoke && !a.Revocation.Only}
	selected, err := s.store.Edit(ctx, sel, func(k *Key) (*journal.Entry, error) {
		if grantable(caller, k) != nil {
			changed[k.ID] = false
			return nil, nil //nolint:nilerr // a refusal of one key is counted, and ends nothing
		}
		before := *k
		entry, err := s.edit(caller, k, "key."+string(a.Act), edit)
		if fault.Is(err, fault.Invalid) {
			*k = before
			changed[k.ID] = false
			return nil, nil
		}
		if entry != nil {
			changed[k.ID] = true
		}
		return entry, err
	})
	if err != nil {
		return 0, err
	}
	out.Matched += len(selected)
	for _, is := range changed {
		if is {
			out.Changed++
		} else {
			out.Refused++
		}
	}
	if len(selected) > 0 {
		a.Filter.After = selected[len(selected)-1].ID
	}
	return len(selected), nil
}

// editOf checks an action and returns what it does with a key.
func (s *Service) editOf(a *Action) (func(*Key) error, error) {
	var f fault.Fields
	f.Check(a.Filter.Narrow(), "body.filter", "at least one condition")
	tags := len(a.AddTags)+len(a.RemoveTags) > 0
	f.Check(tags == (a.Act == ActTag), "body.add_tags", "add_tags or remove_tags are needed to tag, and for nothing else")
	field.Tags(&f, "body.add_tags", a.AddTags)
	field.Tags(&f, "body.remove_tags", a.RemoveTags)
	f.Take(a.Revocation.check())
	f.Check(a.Act == ActRevoke || a.Revocation.Reason == Unspecified, "body.reason", "for revoking alone")
	f.Check(a.Act == ActRevoke || !a.Revocation.Only, "body.only", "for revoking alone")
	edits := map[Act]func(*Key) error{
		ActRevoke: a.Revocation.edit(s.now.Moment()), ActDisable: s.disable, ActEnable: enable, ActTag: a.tag,
	}
	edit, known := edits[a.Act]
	f.Check(known, "body.action", "revoke, disable, enable or tag")
	return edit, f.Err()
}

// tag adds and removes tags. What is in both is there afterwards.
func (a *Action) tag(k *Key) error {
	tags := slices.DeleteFunc(slices.Clone(k.Tags), func(t string) bool { return slices.Contains(a.RemoveTags, t) })
	for _, t := range a.AddTags {
		if !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	if len(tags) > field.MaxTags {
		return invalid("body.add_tags", "a key has at most %d tags", field.MaxTags)
	}
	k.Tags = tags
	return nil
}
