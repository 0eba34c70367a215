package postgres

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

// keyRow is a key without its digest, which is written once and then only read
// by the look-up.
type keyRow struct {
	bun.BaseModel `bun:"table:keys,alias:k"`

	ID             id.Key `bun:",pk"`
	Kind           string
	Environment    string
	OwnerID        id.User
	SubscriptionID id.Subscription
	Name           string
	Start          string
	Last4          string   `bun:"last4"`
	Scopes         []string `bun:",array"`
	Tags           []string `bun:",array"`
	Metadata       string
	AllowCIDRs     []string `bun:"allow_cidrs,array"`
	DenyCIDRs      []string `bun:"deny_cidrs,array"`
	AllowMethods   []string `bun:",array"`
	AllowPaths     []string `bun:",array"`
	NotBefore      *time.Time
	ExpiresAt      *time.Time
	DisabledAt     *time.Time
	RevokedAt      *time.Time
	RevokeReason   string
	CreatedAt      time.Time
	UpdatedAt      time.Time
	Version        int64
}

// newKeyRow is a key as it is first written.
type newKeyRow struct {
	keyRow   `bun:",extend"`
	Digest   []byte
	PepperID string
}

func rowOfKey(k keys.Key) *keyRow {
	return &keyRow{
		ID: k.ID, Kind: k.Kind.String(), Environment: k.Environment.String(), OwnerID: k.OwnerID, SubscriptionID: k.SubscriptionID,
		Name: k.Name, Start: k.Start, Last4: k.Last4, Scopes: k.Scopes, Tags: k.Tags, Metadata: string(k.Metadata),
		AllowCIDRs: prefixTexts(k.AllowCIDRs), DenyCIDRs: prefixTexts(k.DenyCIDRs), AllowMethods: k.AllowMethods, AllowPaths: k.AllowPaths,
		NotBefore: k.NotBefore, ExpiresAt: k.ExpiresAt, DisabledAt: k.DisabledAt, RevokedAt: k.RevokedAt, RevokeReason: string(k.RevokeReason),
		CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt, Version: k.Version,
	}
}

func (r *keyRow) domain() keys.Key {
	k := keys.Key{
		ID: r.ID, Kind: apikey.KindAPI, OwnerID: r.OwnerID, SubscriptionID: r.SubscriptionID,
		Name: r.Name, Start: r.Start, Last4: r.Last4, Scopes: r.Scopes, Tags: r.Tags, Metadata: json.RawMessage(r.Metadata),
		AllowMethods: r.AllowMethods, AllowPaths: r.AllowPaths,
		NotBefore: r.NotBefore, ExpiresAt: r.ExpiresAt, DisabledAt: r.DisabledAt, RevokedAt: r.RevokedAt, RevokeReason: keys.Reason(r.RevokeReason),
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
	if r.Kind == apikey.KindManagement.String() {
		k.Kind = apikey.KindManagement
	}
	k.Environment, _ = apikey.ParseEnvironment(r.Environment)
	k.AllowCIDRs, _ = parsePrefixes(r.AllowCIDRs) // written from valid ones; judged from Records, which checks
	k.DenyCIDRs, _ = parsePrefixes(r.DenyCIDRs)
	return k
}

func (r *keyRow) bumpVersion() { r.Version++ }

func prefixTexts(prefixes []netip.Prefix) []string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.String()
	}
	return texts
}

// Keys keeps keys.
type Keys struct{ db *DB }

// Keys returns the store of keys.
func (db *DB) Keys() *Keys { return &Keys{db} }

// Insert implements keys.Store.
func (s *Keys) Insert(ctx context.Context, in keys.Insertion) error {
	return s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		if in.Key.Kind == apikey.KindManagement {
			if err := closeSetup(ctx, tx, in.OnlyInSetup); err != nil {
				return nil, err
			}
		}
		if in.Subscription != nil {
			if _, err := tx.NewInsert().Model(rowOfSubscription(*in.Subscription)).Exec(ctx); err != nil {
				return nil, err
			}
		}
		row := &newKeyRow{keyRow: *rowOfKey(in.Key), Digest: in.Digest.Sum, PepperID: in.Digest.PepperID}
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return in.Entries, err
	})
}

// Update implements keys.Store.
func (s *Keys) Update(ctx context.Context, key id.Key, change func(*keys.Key) (*journal.Entry, error)) (keys.Key, error) {
	return update(ctx, s.db, &keyRow{ID: key}, (*keyRow).domain, rowOfKey, change)
}

// ByID implements keys.Store.
func (s *Keys) ByID(ctx context.Context, key id.Key) (keys.Key, error) {
	return byID(ctx, s.db, &keyRow{ID: key}, (*keyRow).domain)
}

// List implements keys.Store.
func (s *Keys) List(ctx context.Context, f keys.Filter) ([]keys.Key, error) {
	return list(ctx, s.db, f.After, f.Limit, (*keyRow).domain, func(q *bun.SelectQuery) {
		if f.Kind != nil {
			q.Where("k.kind = ?", f.Kind.String())
		}
		if !f.OwnerID.IsZero() {
			q.Where("k.owner_id = ?", f.OwnerID)
		}
		if f.Plan != "" {
			q.Where("k.subscription_id IN (SELECT s.id FROM subscriptions s JOIN plans p ON p.id = s.plan_id WHERE p.slug = ?)", f.Plan)
		}
	})
}
