package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

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
// Otherwise an index in the order of the list, or one of those over what a key
// contains, is the server's choice.
func (s *Keys) List(ctx context.Context, f keys.Filter) ([]keys.Key, error) {
	var rows []*keyRow
	q := s.db.bun.NewSelect().Model(&rows)
	if err := listQuery(q, &f).Scan(ctx); err != nil {
		return nil, translate(err)
	}
	return domainsOf(rows), nil
}

func listQuery(q *bun.SelectQuery, f *keys.Filter) *bun.SelectQuery {
	led := !f.OwnerID.IsZero() || !f.PlanID.IsZero()
	contains := f.Search != "" || f.Tag != "" || f.Scope != ""
	if contains || !led && f.Status == "" && environments(f) == nil {
		return plainly(q, f)
	}
	text, args := ranges(f, led)
	q.ModelTableExpr("("+text+") AS k", args...)
	return ordered(narrowed(q, f), f)
}

// plainly is the list over the table itself, so that its rows can be locked.
func plainly(q *bun.SelectQuery, f *keys.Filter) *bun.SelectQuery {
	return ordered(narrowed(withStatus(q.Where("k.deleted_at IS NULL"), f), f), f)
}

func withStatus(q *bun.SelectQuery, f *keys.Filter) *bun.SelectQuery {
	if f.Status == "" {
		return q
	}
	return q.Where("(k.status = ? AND "+stampHolds+" OR "+stampIsDue+" AND "+statusSQL+" = ?)",
		string(f.Status), f.At, f.At, f.At, f.At, f.At, string(f.Status))
}

// ranges are the parts of the table that a list is merged from.
func ranges(f *keys.Filter, led bool) (string, []any) {
	statuses, places := keys.Statuses, environments(f)
	if f.Status != "" {
		statuses = []keys.Status{f.Status}
	}
	if led {
		places = nil // the index of an owner or a plan does not have it
	} else if places == nil {
		places = []string{"live", "test", ""}
	}
	var parts []string
	var args []any
	for _, status := range statuses {
		part, values := "SELECT * FROM keys k WHERE k.status = ?", []any{string(status)}
		if f.Status != "" {
			part, values = part+" AND "+stampHolds, append(values, f.At)
		}
		if places == nil {
			parts, args = append(parts, part), append(args, values...)
		}
		for _, place := range places {
			parts, args = append(parts, part+" AND k.environment = ?"), append(append(args, values...), place)
		}
	}
	if f.Status != "" {
		parts = append(parts, "SELECT * FROM keys k WHERE "+stampIsDue+" AND "+statusSQL+" = ?")
		args = append(args, f.At, f.At, f.At, f.At, string(f.Status))
	}
	return strings.Join(parts, " UNION ALL "), args
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
		q.Where("k.environment IN (?)", bun.In(places))
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
		q.Where("COALESCE(k.expires_at, 'infinity') < ?", *f.ExpiresBefore)
	}
	if f.Search != "" {
		q.Where(`(k.name || E'\n' || k.start || E'\n' || k.last4) ILIKE ?`, "%"+escapeLike.Replace(f.Search)+"%")
	}
	return q
}

// escapeLike takes the meaning from the characters that mean something to LIKE.
var escapeLike = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

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

// ordered adds order, place and size. The id makes every place unique.
func ordered(q *bun.SelectQuery, f *keys.Filter) *bun.SelectQuery {
	by, after := "", any(nil)
	switch f.SortBy {
	case keys.ByName:
		by, after = "k.name", f.AfterName
	case keys.ByExpiry:
		by, after = "COALESCE(k.expires_at, 'infinity')", expiryOf(f.AfterExpires)
	}
	direction, beyond := "DESC", "<"
	if f.Ascending {
		direction, beyond = "ASC", ">"
	}
	if by != "" {
		q.OrderExpr(by + " " + direction)
	}
	q.OrderExpr("k.id " + direction).Limit(int64(min(max(f.Limit, 1), keys.MaxBatch)))
	switch {
	case f.After.IsZero():
	case by == "":
		q.Where("k.id "+beyond+" ?", f.After)
	default:
		q.Where("("+by+", k.id) "+beyond+" (?, ?)", after, f.After)
	}
	return q
}

// expiryOf is a time as the order has it: never comes last.
func expiryOf(at *time.Time) any {
	if at == nil {
		return "infinity"
	}
	return *at
}

// Count implements keys.Store.
func (s *Keys) Count(ctx context.Context, f keys.Filter) (int, error) {
	q := s.db.bun.NewSelect().Model((*keyRow)(nil)).Where("k.deleted_at IS NULL")
	n, err := narrowed(withStatus(q, &f), &f).Count(ctx)
	return int(n), translate(err)
}
