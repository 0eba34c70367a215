// Package migrations embeds the numbered SQL that makes the schema, forward
// and back. A migration that has landed is never edited; the postgres adapter
// runs them.
package migrations

import "embed"

// FS holds the migrations, in the form that goose reads.
//
//go:embed *.sql
var FS embed.FS
