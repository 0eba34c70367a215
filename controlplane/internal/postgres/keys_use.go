package postgres

import (
	"context"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// usesSQL does not wait for the disk: what a crash forgets of the last second is
// heard again with the next use. It returns what it could not lock.
const usesSQL = `
WITH hasty AS (SELECT set_config('synchronous_commit', 'off', true)),
news AS MATERIALIZED (
    SELECT k.id, GREATEST(u.at, k.created_at) AS at, u.ip
    FROM hasty, unnest($1::uuid[], $2::timestamptz[], $3::inet[]) AS u (id, at, ip) JOIN keys k ON k.id = u.id
    WHERE k.deleted_at IS NULL AND (k.last_used_at IS NULL OR k.last_used_at < u.at)),
locked AS MATERIALIZED (
    SELECT k.id FROM keys k WHERE k.id IN (SELECT id FROM news) ORDER BY k.id FOR NO KEY UPDATE SKIP LOCKED),
written AS (
    UPDATE keys k SET last_used_at = n.at, last_used_ip = n.ip
    FROM news n JOIN locked l ON l.id = n.id
    WHERE k.id = n.id AND (k.last_used_at IS NULL OR k.last_used_at < n.at))
SELECT id FROM news WHERE id NOT IN (SELECT id FROM locked)`

// NoteUses implements keys.Store.
func (s *Keys) NoteUses(ctx context.Context, uses []keys.Use) (left []id.Key, err error) {
	ids, times, addresses := make([]uuid.UUID, len(uses)), make([]time.Time, len(uses)), make([]*netip.Addr, len(uses))
	for i, u := range uses {
		ids[i], times[i] = u.Key.UUID(), u.At
		if u.IP.IsValid() {
			addresses[i] = &uses[i].IP
		}
	}
	rows, err := s.db.pool.Query(ctx, usesSQL, pgx.QueryExecModeCacheStatement, ids, times, addresses)
	if err != nil {
		return nil, translate(err)
	}
	left, err = pgx.CollectRows(rows, pgx.RowTo[id.Key])
	return left, translate(err)
}
