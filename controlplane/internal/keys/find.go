package keys

import (
	"context"
	"iter"
	"slices"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/shared/apikey"
)

// ByID returns a key. It needs keys:read.
func (s *Service) ByID(ctx context.Context, caller access.Caller, key id.Key) (Key, error) {
	if err := caller.Require(access.KeysRead); err != nil {
		return Key{}, err
	}
	return s.store.ByID(ctx, key)
}

// ByFingerprint returns the key with a fingerprint, of whatever kind, under any
// of the peppers. It needs keys:read.
func (s *Service) ByFingerprint(ctx context.Context, caller access.Caller, f apikey.Fingerprint) (Key, error) {
	if err := caller.Require(access.KeysRead); err != nil {
		return Key{}, err
	}
	return s.store.ByDigest(ctx, s.digest.Digests(f))
}

// List returns a page of keys. It needs keys:read.
func (s *Service) List(ctx context.Context, caller access.Caller, f Filter) ([]Key, error) {
	if err := caller.Require(access.KeysRead); err != nil {
		return nil, err
	}
	some, err := s.resolve(ctx, &f)
	if err != nil || !some {
		return nil, err
	}
	return s.store.List(ctx, f)
}

// exportPage is how many keys an export holds in memory.
const exportPage = 500

// All yields every key that the filter leaves, page by page: each page is of
// its own moment, and no transaction stays open. It needs keys:read. The
// sequence ends after the first error.
func (s *Service) All(ctx context.Context, caller access.Caller, f Filter) iter.Seq2[Key, error] {
	f.Limit = exportPage
	return func(yield func(Key, error) bool) {
		for {
			page, err := s.List(ctx, caller, f)
			if err != nil {
				yield(Key{}, err)
				return
			}
			for _, k := range page {
				if !yield(k, nil) {
					return
				}
			}
			if len(page) < exportPage {
				return
			}
			f.From(&page[len(page)-1])
		}
	}
}

// From moves the filter behind a key.
func (f *Filter) From(last *Key) {
	f.After, f.AfterCreated, f.AfterName, f.AfterExpires, f.AfterUsed = last.ID, last.CreatedAt, last.Name, last.ExpiresAt, last.LastUsedAt
}

// resolve checks a filter and completes it. It reports false where no key can
// be meant.
func (s *Service) resolve(ctx context.Context, f *Filter) (some bool, err error) {
	var wrong fault.Fields
	f.At = s.now.Moment()
	if f.SortBy == "" {
		f.SortBy = ByCreation
	}
	wrong.Check(slices.Contains([]SortBy{ByCreation, ByName, ByExpiry, ByLastUse}, f.SortBy), "query.sort", "created_at, name, expires_at or last_used_at, with - before it for the reverse")
	wrong.Check(f.Status == "" || slices.Contains(Statuses, f.Status), "query.status", "one of %v", Statuses)
	field.Scope(&wrong, "query.scope", f.Scope)
	field.Search(&wrong, "query.q", &f.Search)
	if err := wrong.Err(); err != nil {
		return false, err
	}
	if f.Plan == "" {
		return true, nil
	}
	plan, err := s.facts.Plans.BySlug(ctx, f.Plan)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	f.PlanID = plan.ID
	return err == nil, err
}
