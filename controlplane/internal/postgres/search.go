package postgres

import "github.com/uptrace/bun"

// Texts are searched in two steps: an index over trigrams finds what has all
// three characters in a row that the search has, and what it finds is looked
// through. The texts end in newlines, which no search has, so no match reaches
// from one into another. An index has the same expressions.
const (
	keyTextSQL  = `(k.name || E'\n' || k.start || E'\n' || k.last4)`
	userTextSQL = `(u.name || E'\n' || COALESCE(u.username, '') || E'\n' || u.email || E'\n' || COALESCE(u.external_id, ''))`
)

// containing narrows to texts in which another stands, by their index.
func containing(q *bun.SelectQuery, text, part string) *bun.SelectQuery {
	return reading(q.Where("searchable("+text+") LIKE '%' || searchable(?) || '%'", part), text, part)
}

// containingSome is containing where the server is not to guess from the part
// how many that are: it takes them for one in two hundred.
func containingSome(q *bun.SelectQuery, text, part string) *bun.SelectQuery {
	return reading(q.Where("searchable("+text+") LIKE (SELECT '%' || searchable(?) || '%')", part), text, part)
}

// reading narrows by looking through each text. The server takes that to leave
// nearly all, which is right where an index has found them.
func reading(q *bun.SelectQuery, text, part string) *bun.SelectQuery {
	return q.Where("strpos(lower("+text+"), lower(?)) <> 0", part)
}
