package postgres

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
)

// Edit implements keys.Store.
func (s *Keys) Edit(ctx context.Context, sel keys.Selection, change func(*keys.Key) (*journal.Entry, error)) ([]keys.Key, error) {
	var selected []keys.Key
	err := s.db.change(ctx, func(ctx context.Context, tx bun.Tx) (entries []journal.Entry, err error) {
		owners := quotaOwners(sel.Quotas)
		if sel.Label.Text != "" {
			owners = append(owners, sel.Label.OwnerID)
		}
		if err := lockUsers(ctx, tx, owners...); err != nil {
			return nil, err
		}
		rows, err := lockSelected(ctx, tx, sel)
		if err != nil {
			return nil, err
		}
		selected = make([]keys.Key, len(rows))
		if sel.Successors {
			if rows, err = lockSuccessors(ctx, tx, rows); err != nil {
				return nil, err
			}
		}
		var edited []*keyRow
		// What was selected comes last: who waits until gateways have applied the
		// change of a key has then waited for its successors' too.
		for i, r := range slices.Backward(rows) {
			if r.DeletedAt != nil {
				continue // it only leads to its successor
			}
			k := r.domain()
			entry, err := change(&k)
			if err != nil {
				return nil, err
			}
			if entry != nil {
				k.Version++
				edited, entries = append(edited, rowOfKey(k)), append(entries, *entry)
			}
			if i < len(selected) {
				selected[i] = k
			}
		}
		if err := writeKeys(ctx, tx, edited); err != nil {
			return nil, err
		}
		if err := labelHolds(ctx, tx, sel.Label, sel.At); err != nil {
			return nil, err
		}
		return entries, quotasHold(ctx, tx, sel.Quotas, sel.At)
	})
	return selected, err
}

// lockSelected locks keys in the order of their ids.
func lockSelected(ctx context.Context, tx bun.Tx, sel keys.Selection) ([]*keyRow, error) {
	if sel.Filter != nil {
		return lockFiltered(ctx, tx, bounded(*sel.Filter))
	}
	var rows []*keyRow
	err := tx.NewSelect().Model(&rows).Where("k.id IN (?)", bun.List(sel.IDs)).Where("k.deleted_at IS NULL").OrderExpr("k.id").For("UPDATE").Scan(ctx)
	if err == nil && len(rows) < len(sel.IDs) {
		err = notFound()
	}
	return rows, err
}

// lockFiltered locks what a filter leaves. A statement sees the keys that there
// were when it began: while it waits for one, that one may be rotated and its
// successor be missed. So it looks again, until it finds no other successor; a key
// that it holds is rotated by nobody.
func lockFiltered(ctx context.Context, tx bun.Tx, f keys.Filter) ([]*keyRow, error) {
	known := map[id.Key]bool{}
	for first := true; ; first = false {
		var rows []*keyRow
		if err := plainly(tx.NewSelect().Model(&rows), &f).For("UPDATE").Scan(ctx); err != nil {
			return nil, err
		}
		missed := first
		for _, r := range rows {
			missed = missed || !known[r.ID] && !r.RotatedFrom.IsZero()
			known[r.ID] = true
		}
		if !missed {
			return rows, nil
		}
	}
}

// lockSuccessors appends what the keys were rotated into, and that in turn,
// deleted ones included. A key is locked before its successor is read, so a
// rotation that is under way is either seen here or finds the key changed.
func lockSuccessors(ctx context.Context, tx bun.Tx, rows []*keyRow) ([]*keyRow, error) {
	known := map[id.Key]bool{}
	for _, r := range rows {
		known[r.ID] = true
	}
	for from := 0; from < len(rows); {
		var next []id.Key
		for _, r := range rows[from:] {
			if !r.RotatedTo.IsZero() && !known[r.RotatedTo] {
				known[r.RotatedTo] = true
				next = append(next, r.RotatedTo)
			}
		}
		from = len(rows)
		if len(next) == 0 {
			break
		}
		var locked []*keyRow
		err := tx.NewSelect().Model(&locked).Where("k.id IN (?)", bun.List(next)).OrderExpr("k.id").For("UPDATE").Scan(ctx)
		if err != nil {
			return nil, err
		}
		rows = append(rows, locked...)
	}
	return rows, nil
}

// perMessage is how many updates go to the server at once.
const perMessage = 250

// updateKey writes a row but for what is NoteUses' to write.
func updateKey(tx bun.Tx, r *keyRow) *bun.UpdateQuery {
	return tx.NewUpdate().Model(r).ExcludeColumn("last_used_at", "last_used_ip").WherePK()
}

// writeKeys writes rows, many statements in a message.
func writeKeys(ctx context.Context, tx bun.Tx, rows []*keyRow) error {
	for some := range slices.Chunk(rows, perMessage) {
		var text []byte
		for _, r := range some {
			text = append(text, updateKey(tx, r).String()...)
			text = append(text, ';')
		}
		if _, err := tx.NewRaw("?", bun.Safe(text)).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Rotate implements keys.Store.
func (s *Keys) Rotate(ctx context.Context, key id.Key, change func(*keys.Key) (keys.Rotation, error)) (successor keys.Key, err error) {
	err = s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		// The subscription before the key, as a change of its plan locks them.
		var over []subscriptionRow
		err := tx.NewSelect().Model(&over).Column("plan_id").Where("s.id = (SELECT subscription_id FROM keys WHERE id = ?)", key).For("SHARE").Scan(ctx)
		if err != nil {
			return nil, err
		}
		rows, err := lockSelected(ctx, tx, keys.Selection{IDs: []id.Key{key}})
		if err != nil {
			return nil, err
		}
		k := rows[0].domain()
		if len(over) > 0 {
			k.PlanID = over[0].PlanID // its successor has it, too
		}
		r, err := change(&k)
		if err != nil {
			return nil, err
		}
		k.Version++
		if _, err := updateKey(tx, rowOfKey(k)).Exec(ctx); err != nil {
			return nil, err
		}
		successor = r.Successor.Key
		_, err = tx.NewInsert().Model(newRowOfKey(r.Successor)).Exec(ctx)
		return r.Entries, err
	})
	return successor, err
}

// ByDigest implements keys.Store.
func (s *Keys) ByDigest(ctx context.Context, digests [][]byte) (keys.Key, error) {
	return s.one(ctx, "k.digest IN (?)", bun.List(digests))
}

// ByStart implements keys.Store.
func (s *Keys) ByStart(ctx context.Context, start, last4 string) ([]keys.Key, error) {
	var rows []*keyRow
	q := s.db.bun.NewSelect().Model(&rows).Where("k.start = ?", start).Where("k.deleted_at IS NULL").
		OrderExpr("k.revoked_at IS NOT NULL, k.id").Limit(2)
	if last4 != "" {
		q.Where("k.last4 = ?", last4)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, translate(err)
	}
	return domainsOf(rows), nil
}
