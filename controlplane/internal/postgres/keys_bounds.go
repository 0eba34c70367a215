package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// liveSQL is true for keys that count against max_keys and hold their label at
// the moment that takes its place, as keys.Key.live says. A key that is live
// never has another stamp than these, and an index leads with them.
const liveSQL = liveStampSQL + ` AND k.deleted_at IS NULL AND k.revoked_at IS NULL
	AND k.retires_at IS NULL AND COALESCE(` + endsSQL + `, 'infinity') > ?`

const liveStampSQL = "k.status IN ('active', 'not_yet_valid', 'disabled')"

// endsSQL is keys.EndsAt.
const endsSQL = `LEAST(k.expires_at, k.rotate_by + make_interval(hours => k.rotate_overlap_hours))`

// lockOwners makes others that would count the same owners' keys, look for the
// same labels or subscribe the same users wait until this transaction is over.
func lockOwners(ctx context.Context, tx bun.Tx, in *keys.Insertion) error {
	owners := quotaOwners(in.Quotas)
	for _, s := range in.Keys {
		if s.Key.Label != "" {
			owners = append(owners, s.Key.OwnerID)
		}
	}
	for _, s := range in.Subscriptions {
		owners = append(owners, s.UserID)
	}
	return lockUsers(ctx, tx, owners...)
}

func quotaOwners(quotas []keys.Quota) (owners []id.User) {
	for _, q := range quotas {
		owners = append(owners, q.OwnerID)
	}
	return owners
}

// labelsFree refuses labels that live keys of the same owners have.
func labelsFree(ctx context.Context, tx bun.Tx, in keys.Insertion) error {
	var owners []id.User
	var labels []string
	for _, s := range in.Keys {
		if s.Key.Label != "" {
			owners, labels = append(owners, s.Key.OwnerID), append(labels, s.Key.Label)
		}
	}
	if len(labels) == 0 {
		return nil
	}
	taken, err := labelled(tx.NewSelect(), owners, labels, in.At).Exists(ctx)
	if err != nil || !taken {
		return err
	}
	return fault.New(fault.Conflict, "a live key of this owner has this label").WithCode(fault.CodeTaken)
}

// labelHolds refuses what has brought a label to a second live key of its owner,
// who is locked.
func labelHolds(ctx context.Context, tx bun.Tx, l keys.Label, at time.Time) error {
	if l.Text == "" {
		return nil
	}
	n, err := labelled(tx.NewSelect(), []id.User{l.OwnerID}, []string{l.Text}, at).Count(ctx)
	if err != nil || n < 2 {
		return err
	}
	return fault.New(fault.Conflict, "another live key of this owner has the label by now").WithCode(fault.CodeTaken).
		WithFix("revoke that key first, or leave this one as it is")
}

// labelled narrows a query to live keys that have the label that stands at the
// same place as their owner.
func labelled(q *bun.SelectQuery, owners []id.User, labels []string, at time.Time) *bun.SelectQuery {
	ids := make([]string, len(owners))
	for i, o := range owners {
		ids[i] = o.UUID().String()
	}
	return q.Model((*keyRow)(nil)).
		Where("(k.owner_id, k.label) IN (SELECT * FROM unnest(?::uuid[], ?::text[]))", pgdialect.Array(ids), pgdialect.Array(labels)).
		Where("k.label <> ''").Where(liveSQL, at)
}

// Labelled implements keys.Store.
func (s *Keys) Labelled(ctx context.Context, owners []id.User, labels []string, at time.Time) ([]keys.Key, error) {
	var rows []*keyRow
	if err := labelled(s.db.bun.NewSelect(), owners, labels, at).OrderExpr("k.id").Scan(ctx, &rows); err != nil {
		return nil, translate(err)
	}
	return domainsOf(rows), nil
}

// quotaSQL finds one quota that does not hold. It counts no further than that
// takes.
const quotaSQL = `
SELECT q.most FROM unnest(?::uuid[], ?::uuid[], ?::integer[]) AS q (owner, plan, most)
WHERE (SELECT count(*) FROM (
    SELECT FROM keys k
    WHERE k.owner_id = q.owner AND (q.plan IS NULL OR k.subscription_id IN (SELECT s.id FROM subscriptions s WHERE s.user_id = q.owner AND s.plan_id = q.plan)) AND k.kind = 'api' AND ` + liveSQL + `
    LIMIT q.most + 1) AS live) > q.most
LIMIT 1`

// quotasHold refuses what has brought an owner over a quota.
func quotasHold(ctx context.Context, tx bun.Tx, quotas []keys.Quota, at time.Time) error {
	if len(quotas) == 0 {
		return nil
	}
	owners, under, most := make([]string, len(quotas)), make([]string, len(quotas)), make([]int, len(quotas))
	for i, q := range quotas {
		owners[i], under[i], most[i] = q.OwnerID.UUID().String(), "NULL", q.Max
		if !q.PlanID.IsZero() {
			under[i] = q.PlanID.UUID().String()
		}
	}
	var over []int
	err := tx.NewRaw(quotaSQL, pgdialect.Array(owners), "{"+strings.Join(under, ",")+"}", pgdialect.Array(most), at).Scan(ctx, &over)
	if err != nil || len(over) == 0 {
		return err
	}
	return fault.New(fault.Conflict, "the owner may hold %d live keys and would hold more", over[0]).WithCode(keys.CodeMaxKeys).
		WithFix("revoke a key, or raise max_keys of the user or the plan")
}

// remember keeps a request, once: where it was kept less than a day ago the
// answer is ALREADY_EXISTS. It waits for another that keeps it at this moment.
func remember(ctx context.Context, tx bun.IDB, r *keys.Request) error {
	if r == nil {
		return nil
	}
	made := make([]string, len(r.Made))
	for i, k := range r.Made {
		made[i] = k.UUID().String()
	}
	done, err := tx.ExecContext(ctx, `
		INSERT INTO idempotency AS i (caller, key, request, made, created_at) VALUES (?, ?, ?, ?::uuid[], ?)
		ON CONFLICT (caller, key) DO UPDATE
		SET request = excluded.request, made = excluded.made, created_at = excluded.created_at
		WHERE i.created_at <= ?`,
		r.Caller, r.Key, r.Body, pgdialect.Array(made), r.At, r.At.Add(-keys.KeepRequests))
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return fault.New(fault.Conflict, "another request has this Idempotency-Key").WithCode(fault.CodeTaken)
}

// Made implements keys.Store.
func (s *Keys) Made(ctx context.Context, r keys.Request) ([]keys.Key, []byte, error) {
	var body []byte
	err := s.db.bun.NewRaw("SELECT request FROM idempotency WHERE caller = ? AND key = ? AND created_at > ?",
		r.Caller, r.Key, r.At.Add(-keys.KeepRequests)).Scan(ctx, &body)
	if err != nil {
		return nil, nil, translate(err)
	}
	var rows []*keyRow
	err = s.db.bun.NewSelect().Model(&rows).
		Join("JOIN (SELECT * FROM idempotency, unnest(made) WITH ORDINALITY AS m (key_id, place) WHERE caller = ? AND key = ?) AS i ON i.key_id = k.id", r.Caller, r.Key).
		Where("k.deleted_at IS NULL").OrderExpr("i.place").Scan(ctx)
	return domainsOf(rows), body, translate(err)
}
