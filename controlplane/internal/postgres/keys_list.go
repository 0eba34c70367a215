package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

// statusSQL is keys.Key.Status at the moment that takes the place of its three
// question marks, as the first that fits.
const statusSQL = `CASE
	WHEN k.deleted_at IS NOT NULL THEN 'deleted'
	WHEN k.revoked_at IS NOT NULL THEN 'revoked'
	WHEN k.retires_at <= ? THEN 'retired'
	WHEN k.disabled_at IS NOT NULL THEN 'disabled'
	WHEN ` + endsSQL + ` <= ? THEN 'expired'
	WHEN k.not_before > ? THEN 'not_yet_valid'
	WHEN k.retires_at IS NOT NULL THEN 'retiring'
	ELSE 'active' END`

// A stamp says what the status was at the last write. It holds before
// status_until; the few rows behind theirs are looked at one by one until
// Restamp comes by.
const (
	stampHolds = "(k.status_until IS NULL OR k.status_until > ?)"
	stampIsDue = "k.status_until <= ?"
)

// List implements keys.Store.
//
// Where a list is narrowed by status, owner, plan or kind, its page is put
// together from one range of an index for every status (and environment) that
// it may hold: each range is in the order of the list already, so the server
// merges them and reads no more rows than the page has, and one of each range.
func (s *Keys) List(ctx context.Context, f keys.Filter) ([]keys.Key, error) {
	var rows []*keyRow
	f = bounded(f)
	if err := s.list(ctx, &f, &rows, s.asker()); err != nil {
		return nil, translate(err)
	}
	return domainsOf(rows), nil
}

// list reads a page, each query that it takes by ask.
func (s *Keys) list(ctx context.Context, f *keys.Filter, rows *[]*keyRow, ask asker) error {
	switch {
	case scattered(f):
		return s.listScattered(ctx, f, rows, ask)
	case cut(f):
		return s.listCut(ctx, f, rows, ask)
	}
	return ask.read(ctx, nothing, listQuery(s.db.bun, f).Model(rows))
}

func listQuery(db *bun.DB, f *keys.Filter) *bun.SelectQuery {
	if ranged(f) {
		return merged(db, f)
	}
	return plainly(db.NewSelect(), f)
}

// ranged reports whether a list is put together from ranges.
func ranged(f *keys.Filter) bool {
	return !f.OwnerID.IsZero() || !f.PlanID.IsZero() || f.Status != "" || environments(f) != nil
}

// merged is a list of ranges. The order stands in the parts and around them: only
// then does the server know that it has nothing to sort. What is computed is a
// column for that.
func merged(db *bun.DB, f *keys.Filter) *bun.SelectQuery {
	q := db.NewSelect().ModelTableExpr("(?) AS k", bun.Safe(strings.Join(ranges(db, f), " UNION ALL ")))
	return sorted(q, f, orderOfRanges(f).ofParts)
}

// bounded asks for one key at least, and for no more than a transaction takes.
func bounded(f keys.Filter) keys.Filter {
	f.Limit = min(max(f.Limit, 1), keys.MaxBatch)
	return f
}

// plainly is the list over the table itself, so that its rows can be locked.
func plainly(q *bun.SelectQuery, f *keys.Filter) *bun.SelectQuery {
	return page(exactly(q, f), f, orderOf(f))
}

// exactly narrows to what a filter means, for those who act on it: a list within
// a plan may be behind while many keys follow their subscription.
func exactly(q *bun.SelectQuery, f *keys.Filter) *bun.SelectQuery {
	others := *f
	others.PlanID = id.Plan{}
	if !f.PlanID.IsZero() {
		q.Where("k.subscription_id IN (SELECT s.id FROM subscriptions s WHERE s.plan_id = ?)", f.PlanID)
	}
	return narrowed(withStatus(q.Where("k.deleted_at IS NULL"), f), &others)
}

func withStatus(q *bun.SelectQuery, f *keys.Filter) *bun.SelectQuery {
	if f.Status == "" {
		return q
	}
	return q.Where("(k.status = ? AND "+stampHolds+" OR "+stampIsDue+" AND "+statusSQL+" = ?)",
		string(f.Status), f.At, f.At, f.At, f.At, f.At, string(f.Status))
}

// part selects whole rows, with what they may be sorted by.
func part(db *bun.DB, table any) *bun.SelectQuery {
	return db.NewSelect().TableExpr("? AS k", table).ColumnExpr("k.*, " + expirySQL + " AS ends, " + lastUseSQL + " AS used")
}

// ranges are the parts of the table that a list is merged from, each narrowed
// and in order by itself.
func ranges(db *bun.DB, f *keys.Filter) (parts []string) {
	led := !f.OwnerID.IsZero() || !f.PlanID.IsZero()
	add := func(table any, condition string, args ...any) {
		q := page(narrowed(part(db, table).Where(condition, args...), f), f, orderOfRanges(f))
		parts = append(parts, "("+q.String()+")")
	}
	statuses, places := keys.Statuses, environments(f)
	// OFFSET 0: the few are found first, whatever else there is to know of them.
	due := bun.SafeQuery("(SELECT * FROM keys k WHERE "+stampIsDue+" OFFSET 0)", f.At)
	// Stamps tell of expiries, too: where they hold, no index reads what they rule out.
	stamps := f.Status != "" || f.ExpiresBefore != nil
	switch {
	case f.Status != "":
		statuses = []keys.Status{f.Status}
		add(due, statusSQL+" = ?", f.At, f.At, f.At, string(f.Status))
	case stamps:
		add(due, "k.deleted_at IS NULL")
	}
	if places == nil {
		places = []string{"live", "test", ""}
	}
	for _, status := range statuses {
		stamped, args := "k.status = ?", []any{string(status)}
		if stamps {
			stamped, args = stamped+" AND "+stampHolds, append(args, f.At)
		}
		if f.ExpiresBefore != nil && slices.Contains(unexpired, status) {
			stamped, args = stamped+" AND "+expirySQL+" > ?", append(args, f.At)
		}
		if led { // the indexes of owners and plans do not have the environment
			add(bun.Ident("keys"), stamped, args...)
			continue
		}
		for _, place := range places {
			add(bun.Ident("keys"), stamped+" AND k.environment = ?", append(slices.Clone(args), place)...)
		}
	}
	return parts
}

// environments are those that a filter leaves, "" being that of management
// keys; nil for all.
func environments(f *keys.Filter) []string {
	switch {
	case f.Kind != nil && *f.Kind == apikey.KindManagement && f.Environment != apikey.AnyEnvironment:
		return []string{"none"} // a management key in an environment: there is none
	case f.Kind != nil && *f.Kind == apikey.KindManagement:
		return []string{""}
	case f.Environment != apikey.AnyEnvironment:
		return []string{f.Environment.String()}
	case f.Kind != nil:
		return []string{"live", "test"}
	}
	return nil
}

// narrowed adds every condition but the status.
func narrowed(q *bun.SelectQuery, f *keys.Filter) *bun.SelectQuery {
	if places := environments(f); places != nil {
		q.Where("k.environment IN (?)", bun.List(places))
	}
	if !f.OwnerID.IsZero() {
		q.Where("k.owner_id = ?", f.OwnerID)
	}
	if !f.PlanID.IsZero() {
		q.Where("k.plan_id = ?", f.PlanID)
	}
	if f.Tag != "" {
		q.Where("k.tags @> ?::text[]", pgdialect.Array([]string{f.Tag}))
	}
	if f.Scope != "" {
		q.Where("k.scopes && ?::text[]", pgdialect.Array(covering(f.Scope)))
	}
	if f.ExpiresBefore != nil {
		q.Where(expirySQL+" < ?", *f.ExpiresBefore)
	}
	if f.LastUsedBefore != nil {
		q.Where(lastUseSQL+" < ?", *f.LastUsedBefore)
	}
	if f.Search != "" {
		containing(q, keyTextSQL, f.Search)
	}
	return q
}

// unexpired are the states that no key is in whose expiry is past.
var unexpired = []keys.Status{keys.StatusActive, keys.StatusRetiring, keys.StatusNotYetValid}

// covering lists the scopes that cover one, itself first (apikey.ScopeCovers).
func covering(scope string) []string {
	all := []string{scope, "*"}
	for i, c := range scope {
		if c == ':' {
			all = append(all, scope[:i+1]+"*")
		}
	}
	return all
}

// Count implements keys.Store.
func (s *Keys) Count(ctx context.Context, f keys.Filter) (int, error) {
	n, err := exactly(s.db.bun.NewSelect().Model((*keyRow)(nil)), &f).Count(ctx)
	return int(n), translate(err)
}
