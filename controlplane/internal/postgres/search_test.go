package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/postgres"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// texts are hard to search: what LIKE and regular expressions give a meaning,
// what has no trigram of letters, and what changes its length or depends on its
// neighbours in lower case.
var texts = []string{
	`100% of_all\it`, `a'b"c;--x`, "---", "eu-1.a_b", "(.*)[^a]{2}$", "xqjvw wjqxz", "a  b   c",
	"Straße STRASSE ẞtra", "İstanbul ıIiİ", "i\u0307x ΑΣ Β", "ΑΣΑ Σ ς σίγμα", "ÉCOLE e\u0301cole", "ǅungla Ǆǆ", "Ⓐ Ⅷ ⅷ Ω KÅ",
	"日本語の鍵", "💥💥💥 key 💥", "мир МИР", "नमस्ते ١٢٣", "a\u200bb\u00a0c", "한국어",
}

// A search finds what has it as a part, in upper or in lower case, whatever the
// characters and however the database writes them in lower case; the index over
// the texts loses none of it.
func TestSearchesFindEveryPart(t *testing.T) {
	t.Parallel()
	conn := must[*pgx.Conn](t)(pgx.Connect(t.Context(), pgtest.DSN(t)))
	locales := []string{"LC_COLLATE 'C' LC_CTYPE 'C'"}
	more := must[[]string](t)(pgx.CollectRows(must[pgx.Rows](t)(conn.Query(t.Context(), `
		SELECT format('LC_COLLATE %1$L LC_CTYPE %1$L', min(collcollate)) FROM pg_collation
		WHERE collprovider = 'c' AND collcollate ~* '[.]utf-?8$' HAVING count(*) > 0
		UNION SELECT format('LOCALE_PROVIDER icu ICU_LOCALE %L LC_COLLATE ''C'' LC_CTYPE ''C''', tag) FROM unnest('{und,tr}'::text[]) AS tag
		WHERE EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i') AND current_setting('server_version_num')::int >= 150000`)), pgx.RowTo[string]))
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, locale := range append(locales, more...) {
		t.Run(locale, func(t *testing.T) {
			t.Parallel()
			searchAll(t, locale)
		})
	}
}

// searchAll searches for every part of the texts, and holds what is found against
// a comparison that no index helps.
func searchAll(t *testing.T, locale string) {
	dsn, ctx := pgtest.In(t, locale), t.Context()
	must[postgres.Schema](t)(postgres.Migrate(ctx, dsn))
	conn := must[*pgx.Conn](t)(pgx.Connect(ctx, dsn))
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+pgx.Identifier{conn.Config().Database}.Sanitize()+" SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	h := furnish(t, dsn)
	batch := keys.Batch{}
	for i, text := range texts {
		batch.Keys = append(batch.Keys, keys.NewKey{Name: text})
		must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{Name: text, ExternalID: fmt.Sprint(i)}))
	}
	must[[]keys.Issued](t)(h.keys.IssueMany(ctx, root(), batch))
	for _, part := range parts() {
		var names, people []string
		for _, k := range must[[]keys.Key](t)(h.db.Keys().List(ctx, keys.Filter{Search: part, Limit: 100})) {
			names = append(names, k.Name)
		}
		for _, u := range must[[]users.User](t)(h.db.Users().List(ctx, users.Filter{Search: part, Limit: 100})) {
			people = append(people, u.Name)
		}
		for _, found := range []struct {
			got []string
			sql string
		}{
			{names, `SELECT name FROM keys WHERE strpos(lower(name || E'\n' || start || E'\n' || last4), lower($1)) > 0 ORDER BY id DESC`},
			{people, `SELECT name FROM users WHERE strpos(lower(name || E'\n' || external_id), lower($1)) > 0 ORDER BY id DESC`},
		} {
			want := must[[]string](t)(pgx.CollectRows(must[pgx.Rows](t)(conn.Query(ctx, found.sql, part)), pgx.RowTo[string]))
			if !slices.Equal(found.got, want) {
				t.Errorf("%+q is found in %q, not in %q: %s", part, found.got, want, found.sql)
			}
		}
	}
}

// parts are what stands in the texts: threes, fives and all of each, in both cases
// too.
func parts() (all []string) {
	for _, text := range texts {
		for from := range text {
			for length, to := 0, from; to < len(text); length++ {
				_, size := utf8.DecodeRuneInString(text[to:])
				to += size
				if part := text[from:to]; (length == 2 || length == 4 || len(part) == len(text)) && part == strings.TrimSpace(part) {
					all = append(all, part, strings.ToUpper(part), strings.ToLower(part))
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
