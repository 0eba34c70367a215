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

// apart splits a filter into what a walk in the order of the list is narrowed by
// before it reads a row of the table, and the rest: the index of all keys in the
// order of their ids knows of moments alone.
func apart(f *keys.Filter) (led, rest keys.Filter) {
	led, rest = *f, *f
	led.Tag, led.Scope, led.Search = "", "", ""
	if orderOfScattered(f).of == idOrder.of {
		led = keys.Filter{SortBy: f.SortBy, Ascending: f.Ascending, After: f.After, At: f.At}
	} else {
		rest = keys.Filter{Tag: f.Tag, Scope: f.Scope, Search: f.Search}
	}
	led.ExpiresBefore, led.LastUsedBefore, rest.ExpiresBefore, rest.LastUsedBefore = f.ExpiresBefore, f.LastUsedBefore, nil, nil
	return led, rest
}

// orderOfScattered is one order for walking and for gathering: pages of either
// follow pages of the other.
func orderOfScattered(f *keys.Filter) order {
	if !f.OwnerID.IsZero() || !f.PlanID.IsZero() || f.Status != "" {
		return orderOfRanges(f)
	}
	return orderOf(f)
}

func (s *Keys) listScattered(ctx context.Context, f *keys.Filter, rows *[]*keyRow, ask asker) error {
	led, rest := apart(f)
	b, err := s.beliefs(ctx, f, &led)
	if err != nil {
		return err
	}
	if b.left > 0 && b.left >= frequent*b.among {
		led.Limit = walked * f.Limit
		err := ask.read(ctx, nothing, walk(s.db.bun, f, &led, &rest).Model(rows))
		if err != nil || len(*rows) == f.Limit {
			return err
		}
		*rows = nil
	}
	return s.gather(ctx, f, b, rows, ask)
}

// walk looks through the next keys in the order of the list, for what is to be
// found. Those are the next of all its ranges together: what lies behind the last
// that was looked at, in whichever range, is in a later place of the list.
func walk(db *bun.DB, f, led, rest *keys.Filter) *bun.SelectQuery {
	o := orderOfScattered(f)
	next := page(narrowed(part(db, bun.Ident("keys")).Where("k.deleted_at IS NULL"), led), led, o)
	if ranged(led) {
		next = merged(db, led).ColumnExpr("k.*")
	}
	others, q := *rest, withStatus(db.NewSelect().ModelTableExpr("(?) AS k", next), rest)
	if rest.Search != "" {
		reading(q, keyTextSQL, rest.Search)
		others.Search = ""
	}
	return sorted(narrowed(q, &others), f, o.ofParts)
}

// belief is how many keys the server believes there are.
type belief struct {
	all   float64
	among float64 // that a walk leads to
	left  float64 // in the list
	texts float64 // with the text that is looked for
}

func (s *Keys) beliefs(ctx context.Context, f, led *keys.Filter) (b belief, err error) {
	if err := s.db.bun.NewRaw("SELECT reltuples FROM pg_class WHERE oid = 'keys'::regclass").Scan(ctx, &b.all); err != nil || b.all <= 0 {
		return belief{}, err
	}
	if b.among, err = s.believed(ctx, led, b.all); err != nil {
		return b, err
	}
	wordless := *f
	wordless.Tag, wordless.Scope, wordless.Search = "", "", ""
	if b.left, err = s.believed(ctx, &wordless, b.all); err != nil {
		return b, err
	}
	if f.Search != "" {
		if b.texts, err = s.expected(ctx, &keys.Filter{Search: f.Search}); err != nil {
			return b, err
		}
		b.left *= min(b.texts/b.all, 1)
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
			return b, err
		}
		b.left *= known
	}
	return b, nil
}

// believed is how many of all keys a filter without words leaves.
func (s *Keys) believed(ctx context.Context, f *keys.Filter, all float64) (float64, error) {
	if !ranged(f) && f.ExpiresBefore == nil && f.LastUsedBefore == nil {
		return all, nil
	}
	rows, err := s.expected(ctx, f)
	return min(rows, all), err
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
