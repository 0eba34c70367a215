package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/bootstrap"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Bootstrap keeps the set-up window.
type Bootstrap struct{ db *DB }

// Bootstrap returns the store of the set-up window.
func (db *DB) Bootstrap() *Bootstrap { return &Bootstrap{db} }

// Open implements bootstrap.Store.
func (s *Bootstrap) Open(ctx context.Context) (open bool, err error) {
	err = s.db.pool.QueryRow(ctx, "SELECT closed_at IS NULL FROM bootstrap").Scan(&open)
	return open, translate(err)
}

// AddToken implements bootstrap.Store.
func (s *Bootstrap) AddToken(ctx context.Context, token apikey.Fingerprint) (bool, error) {
	done, err := s.db.pool.Exec(ctx, `
		UPDATE bootstrap SET tokens = (array_prepend($1::bytea, tokens))[1:$2] WHERE closed_at IS NULL`,
		pgx.QueryExecModeExec, token[:], bootstrap.KeptTokens)
	return done.RowsAffected() == 1, translate(err)
}

// HasToken implements bootstrap.Store.
func (s *Bootstrap) HasToken(ctx context.Context, token apikey.Fingerprint) (has bool, err error) {
	err = s.db.pool.QueryRow(ctx, "SELECT closed_at IS NULL AND $1::bytea = ANY (tokens) FROM bootstrap",
		pgx.QueryExecModeExec, token[:]).Scan(&has)
	return has, translate(err)
}

// closeSetup ends the set-up window. Where it must still be open, of two
// callers at the same moment one finds it closed.
func closeSetup(ctx context.Context, tx bun.Tx, mustBeOpen bool) error {
	done, err := tx.ExecContext(ctx, "UPDATE bootstrap SET closed_at = now(), tokens = '{}' WHERE closed_at IS NULL")
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 || !mustBeOpen {
		return err
	}
	return fault.New(fault.Conflict, "the set-up is done: there is an owner or a management key").
		WithCode(bootstrap.CodeClosed).WithFix("use a management key; `latchkey keys issue --management` makes one")
}
