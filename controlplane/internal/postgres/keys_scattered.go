package postgres

import (
	"context"
	"encoding/json"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// Keys that contain a tag, a scope or a part of a text lie scattered in the
// indexes that have the list's order. They are found in one of two ways: by
// walking such an index until the page is full, right where many are meant, or
// by asking the index over what they have in common. The server's own guess is
// not good enough: it takes a tag that nobody has for half as frequent as the
// rarest that it knows, and cannot know that what it looks for stands at the far
// end. So the choice is made here, by its statistics, and a walk that takes longer
// than it should is given up for the other way.
const (
	frequent = 0.2 // is what a larger part of the keys than this has,
	walked   = 8   // and these pages of them are enough to find it
)

// scattered reports whether a filter asks for keys that no index has together
// and in the order of the list.
func scattered(f *keys.Filter) bool {
	return f.Search != "" || f.Tag != "" || f.Scope != ""
}

// apart splits a filter into what the indexes in the order of the list know, and
// the rest.
func apart(f *keys.Filter) (led, rest keys.Filter) {
	led = *f
	led.Tag, led.Scope, led.Search = "", "", ""
	return led, keys.Filter{Tag: f.Tag, Scope: f.Scope, Search: f.Search}
}

func (s *Keys) listScattered(ctx context.Context, f *keys.Filter, rows *[]*keyRow, ask asker) error {
	all, frequency, left, err := s.frequencies(ctx, f)
	if err != nil {
		return err
	}
	if frequency >= frequent {
		err := ask.read(ctx, nothing, walk(s.db.bun, f, walked*f.Limit).Model(rows))
		if err != nil || len(*rows) == f.Limit {
			return err
		}
		*rows = nil
	}
	return s.gather(ctx, f, left, all, rows, ask)
}

// walk looks through so many of the next keys in the order of the list. Those are
// the next of all its ranges together: what lies behind the last that was looked
// at, in whichever range, is in a later place of the list.
func walk(db *bun.DB, f *keys.Filter, budget int) *bun.SelectQuery {
	led, rest := apart(f)
	led.Limit = budget
	var next *bun.SelectQuery
	by := orderOf(f)
	if ranged(f) {
		by = orderOfRanges(f)
		next = merged(db, &led).ColumnExpr("k.*")
	} else {
		next = page(narrowed(part(db, bun.Ident("keys")).Where("k.deleted_at IS NULL"), &led), &led, by)
	}
	return sifted(db.NewSelect().ModelTableExpr("(?) AS k", next), f, &rest, by)
}

// sifted narrows parts of the table by looking through each row.
func sifted(q *bun.SelectQuery, f, by *keys.Filter, o order) *bun.SelectQuery {
	others := *by
	if by.Search != "" {
		reading(q, keyTextSQL, by.Search)
		others.Search = ""
	}
	return sorted(narrowed(q, &others), f, o.ofParts)
}

// frequencies returns how many keys there are, what part of those that indexes in
// the order of the list lead to belongs to it, and how many that leaves, all as
// the server believes.
func (s *Keys) frequencies(ctx context.Context, f *keys.Filter) (all, frequency, left float64, err error) {
	if err := s.db.bun.NewRaw("SELECT reltuples FROM pg_class WHERE oid = 'keys'::regclass").Scan(ctx, &all); err != nil || all <= 0 {
		return 0, 0, 0, err
	}
	led, rest := apart(f)
	among := all
	frequency = 1
	if ranged(f) || f.ExpiresBefore != nil || f.LastUsedBefore != nil {
		if among, err = s.expected(ctx, &led); err != nil {
			return 0, 0, 0, err
		}
	}
	if f.Search != "" {
		rows, err := s.expected(ctx, &keys.Filter{Search: rest.Search})
		if err != nil {
			return 0, 0, 0, err
		}
		frequency = min(rows/all, 1)
	}
	for _, w := range []struct {
		column string
		words  []string
	}{{"tags", []string{f.Tag}}, {"scopes", covering(f.Scope)}} {
		if w.words[0] == "" {
			continue
		}
		known, err := s.frequency(ctx, w.column, w.words)
		if err != nil {
			return 0, 0, 0, err
		}
		frequency *= known
	}
	return all, frequency, frequency * min(among, all), nil
}

// frequency returns the part of all keys that have one of the words, as of the
// server's statistics. What they do not list is rare.
func (s *Keys) frequency(ctx context.Context, column string, words []string) (known float64, err error) {
	err = s.db.bun.NewRaw(`
		SELECT LEAST(COALESCE(sum(w.frequency), 0), 1)
		FROM pg_stats s, unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS w (word, frequency)
		WHERE s.schemaname = current_schema() AND s.tablename = 'keys' AND s.attname = ? AND w.word = ANY (?)`,
		column, pgdialect.Array(words)).Scan(ctx, &known)
	return known, err
}

// expected returns how many keys the server believes that a filter leaves. Where
// there is a time that keys expire before, it is not asked for the status as
// well, for it takes the two to be independent.
func (s *Keys) expected(ctx context.Context, f *keys.Filter) (float64, error) {
	var plan []byte
	q := s.db.bun.NewSelect().Model((*keyRow)(nil)).Column("id").Where("k.deleted_at IS NULL")
	if f.ExpiresBefore == nil {
		withStatus(q, f)
	}
	if err := s.db.bun.NewRaw("EXPLAIN (FORMAT JSON) ?", narrowed(q, f)).Scan(ctx, &plan); err != nil {
		return 0, err
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal(plan, &plans); err != nil || len(plans) == 0 {
		return 0, err
	}
	return plans[0].Plan.Rows, nil
}
