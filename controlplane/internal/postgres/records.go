package postgres

import (
	"context"
	"errors"
	"net/netip"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/records"
	"github.com/latchkey/latchkey/shared/apikey"
)

// byDigestSQL reads the head of the logs and everything that a record is
// composed of in one statement: of one moment, and on the primary.
const byDigestSQL = `
SELECT h.number, h.epoch::text, k.id IS NOT NULL,
       k.id, k.kind, k.environment, k.name, k.scopes, k.metadata, k.allow_cidrs, k.deny_cidrs, k.allow_methods, k.allow_paths,
       k.not_before, k.expires_at, k.disabled_at, k.revoked_at, k.retires_at, k.rotate_by, k.rotate_overlap_hours, k.pepper_id,
       u.id, u.name, u.external_id, u.disabled_at,
       s.id, s.status, s.trial_ends_at, s.period_end, p.id, p.slug, p.scopes
FROM journal_head h
LEFT JOIN keys k ON k.digest = ANY ($1)
LEFT JOIN users u ON u.id = k.owner_id
LEFT JOIN subscriptions s ON s.id = k.subscription_id
LEFT JOIN plans p ON p.id = s.plan_id`

// Records finds keys for the validator.
type Records struct{ db *DB }

// Records returns the validator's rows.
func (db *DB) Records() *Records { return &Records{db} }

// ByDigest implements records.Rows.
func (r *Records) ByDigest(ctx context.Context, digests [][]byte) (*records.Row, journal.Head, error) {
	var s scanned
	err := r.db.pool.QueryRow(ctx, byDigestSQL, pgx.QueryExecModeCacheStatement, digests).Scan(s.targets()...)
	if err != nil {
		return nil, journal.Head{}, translate(err)
	}
	if !s.found {
		return nil, s.head, nil
	}
	row, err := s.row()
	return row, s.head, translate(err)
}

// scanned is one row of byDigestSQL as the driver hands it over.
type scanned struct {
	head  journal.Head
	found bool

	key, user, subscription, plan                   uuid.NullUUID
	kind, environment, name, metadata, pepper       *string
	userName, externalID, status, slug              *string
	scopes, allow, deny, methods, paths, planScopes []string
	overlapHours                                    *int
	out                                             records.Row
	planRow                                         records.PlanRow
}

func (s *scanned) targets() []any {
	o, p := &s.out, &s.planRow
	return []any{
		&s.head.Number, &s.head.Epoch, &s.found,
		&s.key, &s.kind, &s.environment, &s.name, &s.scopes, &s.metadata, &s.allow, &s.deny, &s.methods, &s.paths,
		&o.NotBefore, &o.ExpiresAt, &o.DisabledAt, &o.RevokedAt, &o.RetiresAt, &o.RotateBy, &s.overlapHours, &s.pepper,
		&s.user, &s.userName, &s.externalID, &o.UserDisabledAt,
		&s.subscription, &s.status, &p.TrialEndsAt, &p.PeriodEnd, &s.plan, &s.slug, &s.planScopes,
	}
}

// row fills in what needs more than copying.
func (s *scanned) row() (*records.Row, error) {
	o := &s.out
	o.KeyID, o.UserID = id.From[id.KeyKind](s.key.UUID), id.From[id.UserKind](s.user.UUID)
	o.Name, o.Metadata, o.PepperID, o.UserName = *s.name, *s.metadata, *s.pepper, *s.userName
	if s.externalID != nil {
		o.UserExternalID = *s.externalID
	}
	o.RotateOverlapHours = *s.overlapHours
	o.Scopes, o.AllowMethods, o.AllowPaths = s.scopes, s.methods, s.paths
	var allowErr, denyErr error
	o.AllowCIDRs, allowErr = parsePrefixes(s.allow)
	o.DenyCIDRs, denyErr = parsePrefixes(s.deny)
	kindErr := o.Kind.UnmarshalText([]byte(*s.kind))
	envErr := o.Environment.UnmarshalText([]byte(*s.environment))
	if err := errors.Join(allowErr, denyErr, kindErr, envErr); err != nil {
		return nil, err
	}
	if s.subscription.Valid {
		p := &s.planRow
		p.SubscriptionID, p.PlanID = id.From[id.SubscriptionKind](s.subscription.UUID), id.From[id.PlanKind](s.plan.UUID)
		p.Slug, p.Scopes = *s.slug, s.planScopes
		if err := p.Status.UnmarshalText([]byte(*s.status)); err != nil {
			return nil, err
		}
		o.Plan = p
	}
	return o, nil
}

func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	all := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		var err error
		if all[i], err = netip.ParsePrefix(t); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Redigest implements records.Rows. The journal takes no part: what a key may
// do does not change.
func (r *Records) Redigest(ctx context.Context, key id.Key, oldPepper string, to keys.Digest) error {
	_, err := r.db.pool.Exec(ctx, `UPDATE keys SET digest = $3, pepper_id = $4 WHERE id = $1 AND pepper_id = $2`,
		pgx.QueryExecModeExec, key.UUID(), oldPepper, to.Sum, to.PepperID)
	return translate(err)
}

// Peppers remembers which peppers were used.
type Peppers struct{ db *DB }

// Peppers returns the store of pepper uses.
func (db *DB) Peppers() *Peppers { return &Peppers{db} }

// Use implements records.PepperStore.
func (p *Peppers) Use(ctx context.Context, use records.PepperUse) ([]records.PepperUse, error) {
	_, err := p.db.pool.Exec(ctx, `INSERT INTO peppers (id, proof) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, use.ID, use.Proof)
	if err != nil {
		return nil, translate(err)
	}
	return p.Used(ctx)
}

// Used implements records.PepperStore.
func (p *Peppers) Used(ctx context.Context) ([]records.PepperUse, error) {
	rows, err := p.db.pool.Query(ctx, `SELECT id, proof FROM peppers ORDER BY turn`)
	if err != nil {
		return nil, translate(err)
	}
	used, err := pgx.CollectRows(rows, pgx.RowToStructByPos[records.PepperUse])
	return used, translate(err)
}

// InUse implements records.PepperStore.
func (p *Peppers) InUse(ctx context.Context, pepper string) (inUse bool, err error) {
	err = p.db.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM keys WHERE pepper_id = $1)`, pepper).Scan(&inUse)
	return inUse, translate(err)
}

// KeysPerPepper counts the keys under each pepper.
func (p *Peppers) KeysPerPepper(ctx context.Context) (map[string]int64, error) {
	rows, err := p.db.pool.Query(ctx, `SELECT p.id, count(k.id) FROM peppers p LEFT JOIN keys k ON k.pepper_id = p.id GROUP BY p.id`)
	if err != nil {
		return nil, translate(err)
	}
	counts := map[string]int64{}
	var pepper string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&pepper, &n}, func() error { counts[pepper] = n; return nil })
	return counts, translate(err)
}

// UsePrefix records that a prefix is issued, wakes every replica to hear of it,
// and returns all that ever were.
func (db *DB) UsePrefix(ctx context.Context, prefix string) (apikey.Prefixes, error) {
	_, err := db.pool.Exec(ctx, `
		WITH added AS (INSERT INTO key_prefixes (prefix) VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1)
		SELECT pg_notify('`+channel+`', '') FROM added`, prefix)
	if err != nil {
		return nil, translate(err)
	}
	rows, err := db.pool.Query(ctx, `SELECT prefix FROM key_prefixes ORDER BY prefix`)
	if err != nil {
		return nil, translate(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return all, translate(err)
}
