package postgres

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// What a list's filter contains and where its order lies are two indexes, and
// the server can lay them over each other before it reads a row of the table:
// the keys that have a tag, those of a stretch of the order, and of the table
// only what is both. Where a stretch must end to hold a page or two, a sample of
// the list tells: digests are random, so the keys whose digest begins with zeros,
// laid over the same tag, are one in so many of the list, wherever they stand in
// its order. No statistics could tell that of what stands together.
const (
	sampled = 6  // pages of all that the list has
	held    = 2  // pages that a stretch should hold
	few     = 10 // pages that are better read at once
)

// gather finds a page of a list that is believed to have so many keys.
func (s *Keys) gather(ctx context.Context, f *keys.Filter, b belief, rows *[]*keyRow, ask asker) error {
	return ask.snapshot(ctx, func(ctx context.Context, read reader) error {
		g, page := gatherer{s.db.bun, *f, orderOfScattered(f), b, read}, float64(f.Limit)
		part := max(sampled*page/b.left, 1/(4*page)) // a smaller one would tell too little
		// A sample of few is a large part of a large index.
		if whole := max(few*f.Limit, int(1.6*math.Sqrt(b.all))); b.left <= float64(whole) {
			found, more, err := g.whole(ctx, whole)
			if err != nil || !more {
				*rows = found
				return err
			}
			part = 1 / page // there are more by far than the server believes
		}
		marks, step, err := g.sample(ctx, part)
		if err != nil {
			return err
		}
		for from := (*mark)(nil); ; {
			var to *mark
			if len(marks) >= step {
				to, marks = &marks[step-1], marks[step:]
			}
			found, err := g.stretch(ctx, from, to)
			if err != nil {
				return err
			}
			*rows = append(*rows, found...)
			if g.f.Limit -= len(found); g.f.Limit <= 0 || to == nil {
				return nil
			}
			// Each stretch asks all indexes anew, so there should be few of them.
			from, step = to, 2*step
		}
	})
}

// gatherer reads parts of a list.
type gatherer struct {
	db   *bun.DB
	f    keys.Filter
	o    order
	b    belief
	read reader
}

// mark is a place in a list: that of a key.
type mark struct {
	value any // what the list is in the order of
	id    id.Key
}

func (o order) mark(f *keys.Filter) *mark { return &mark{o.after(f), f.After} }

// hidden compares keys with a place that the server sees only when it has made
// its plan. It would guess wrong how much lies between two where that is little,
// and how much lies before one where many keys have the same value; and would
// take for nothing, or for all, what should be laid over the rest.
func (o order) hidden(compared string, m *mark) schema.QueryWithArgs {
	if o.of == idOrder.of {
		return bun.SafeQuery("k.id "+compared+" (SELECT ?::uuid)", m.id)
	}
	return bun.SafeQuery("("+o.of+", k.id) "+compared+" ((SELECT ?::"+o.kind+"), (SELECT ?::uuid))", m.value, m.id)
}

// markRow is what makes a mark, whatever the order is.
type markRow struct {
	ID         id.Key
	CreatedAt  time.Time
	Name       string
	ExpiresAt  *time.Time
	LastUsedAt *time.Time
}

// sample returns the places of a part of the list, and behind how many of them a
// stretch should end. It takes a smaller part where there are too many.
func (g *gatherer) sample(ctx context.Context, part float64) (marks []mark, step int, err error) {
	for most := 20 * g.f.Limit; ; part /= 4 {
		q := g.keys().Limit(int64(most) + 1)
		if part < 1 {
			q.Where("k.digest < ?", binary.BigEndian.AppendUint64(nil, uint64(math.Ldexp(part, 64))))
		}
		all := g.f
		all.Limit = math.MaxInt32
		var rows []markRow
		err = g.read(ctx, readingRows, sorted(g.db.NewSelect().ModelTableExpr("(?) AS k", q), &all, g.o.of).
			Column("k.id", "k.created_at", "k.name", "k.expires_at", "k.last_used_at").Model(&rows))
		switch {
		case err != nil:
			return nil, 0, err
		case len(rows) > most:
			continue
		}
		for _, r := range rows {
			all.From(&keys.Key{ID: r.ID, CreatedAt: r.CreatedAt, Name: r.Name, ExpiresAt: r.ExpiresAt, LastUsedAt: r.LastUsedAt})
			marks = append(marks, *g.o.mark(&all))
		}
		// How much lies before one mark is left to chance.
		return marks, max(3, int(math.Round(held*float64(g.f.Limit)*part))), nil
	}
}

// countedRow tells, too, how many keys were found.
type countedRow struct {
	keyRow `bun:",extend"`
	Found  int `bun:",scanonly"`
}

// whole returns the first keys of a list of at most so many, and else reports
// that it has more.
func (g *gatherer) whole(ctx context.Context, most int) (found []*keyRow, more bool, err error) {
	var rows []*countedRow
	err = g.read(ctx, allButBitmaps, sorted(g.db.NewSelect().ModelTableExpr("(?) AS k", g.keys().Limit(int64(most)+1)), &g.f, g.o.of).
		ColumnExpr("?TableColumns, count(*) OVER () AS found").Model(&rows))
	if err != nil || len(rows) > 0 && rows[0].Found > most {
		return nil, true, err
	}
	for _, r := range rows {
		found = append(found, &r.keyRow)
	}
	return found, false, nil
}

// stretch returns the first keys behind a mark, or where the page begins, up to
// another, or to the end of the list.
func (g *gatherer) stretch(ctx context.Context, from, to *mark) (found []*keyRow, err error) {
	q, o := g.keys(), g.o
	if from == nil && !g.f.After.IsZero() {
		from = g.o.mark(&g.f)
	}
	if from != nil {
		q.Where("?", o.hidden(onward(&g.f), from))
	}
	if to != nil {
		q.Where("?", o.hidden(back(&g.f)+"=", to))
	}
	err = g.read(ctx, readingRows, sorted(g.db.NewSelect().ModelTableExpr("(?) AS k", q), &g.f, o.of).Model(&found))
	return found, err
}

// keys are those of the list behind the place where the page begins, which no
// index is asked for.
func (g *gatherer) keys() *bun.SelectQuery {
	q := withStatus(g.db.NewSelect().TableExpr("keys AS k").ColumnExpr("k.*").Where("k.deleted_at IS NULL"), &g.f)
	others := g.f
	if others.Search != "" && g.b.texts < g.b.all/200 {
		containingSome(q, keyTextSQL, others.Search)
		others.Search = ""
	}
	if !g.f.After.IsZero() {
		m := g.o.mark(&g.f)
		q.Where("(?) IS TRUE", g.o.beyond(&g.f, m.value, m.id))
	}
	return narrowed(q, &others)
}
