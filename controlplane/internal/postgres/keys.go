package postgres

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

// keyRow is a key without its digest, which is written once and then only read
// by the look-up. Status and StatusUntil are its status as of UpdatedAt.
type keyRow struct {
	bun.BaseModel `bun:"table:keys,alias:k"`

	ID             id.Key `bun:",pk"`
	Kind           string
	Environment    string
	OwnerID        id.User
	SubscriptionID id.Subscription
	PlanID         id.Plan
	Name           string
	Label          string
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
	DeletedAt      *time.Time
	RotatedFrom    id.Key
	RotatedTo      id.Key
	RetiresAt      *time.Time
	RotateBy       *time.Time
	Status         string
	StatusUntil    *time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
	Version        int64
	LastUsedAt     *time.Time // written by NoteUses alone
	LastUsedIP     string     `bun:"last_used_ip,nullzero"`

	LimitOverrides     string
	RotateEveryDays    int
	RotateOverlapHours int
}

// newKeyRow is a key as it is first written.
type newKeyRow struct {
	keyRow   `bun:",extend"`
	Digest   []byte
	PepperID string
}

func rowOfKey(k keys.Key) *keyRow {
	overrides, _ := json.Marshal(k.LimitOverrides) // names and numbers
	return &keyRow{
		ID: k.ID, Kind: k.Kind.String(), Environment: k.Environment.String(), OwnerID: k.OwnerID, SubscriptionID: k.SubscriptionID, PlanID: k.PlanID,
		Name: k.Name, Label: k.Label, Start: k.Start, Last4: k.Last4, Scopes: k.Scopes, Tags: k.Tags, Metadata: string(k.Metadata),
		AllowCIDRs: prefixTexts(k.AllowCIDRs), DenyCIDRs: prefixTexts(k.DenyCIDRs), AllowMethods: k.AllowMethods, AllowPaths: k.AllowPaths,
		NotBefore: k.NotBefore, ExpiresAt: k.ExpiresAt, DisabledAt: k.DisabledAt, RevokedAt: k.RevokedAt, RevokeReason: string(k.RevokeReason),
		DeletedAt: k.DeletedAt, RotatedFrom: k.RotatedFrom, RotatedTo: k.RotatedTo, RetiresAt: k.RetiresAt, RotateBy: k.RotateBy,
		RotateEveryDays: k.RotateEveryDays, RotateOverlapHours: k.RotateOverlapHours,
		LimitOverrides: string(overrides), Status: string(k.Status(k.UpdatedAt)), StatusUntil: k.StatusUntil(k.UpdatedAt),
		CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt, Version: k.Version,
	}
}

func newRowOfKey(s keys.Sealed) *newKeyRow {
	return &newKeyRow{keyRow: *rowOfKey(s.Key), Digest: s.Digest.Sum, PepperID: s.Digest.PepperID}
}

func (r *keyRow) domain() keys.Key {
	k := keys.Key{
		ID: r.ID, Kind: apikey.KindAPI, OwnerID: r.OwnerID, SubscriptionID: r.SubscriptionID, PlanID: r.PlanID,
		Name: r.Name, Label: r.Label, Start: r.Start, Last4: r.Last4, Scopes: r.Scopes, Tags: r.Tags, Metadata: json.RawMessage(r.Metadata),
		AllowMethods: r.AllowMethods, AllowPaths: r.AllowPaths,
		NotBefore: r.NotBefore, ExpiresAt: r.ExpiresAt, DisabledAt: r.DisabledAt, RevokedAt: r.RevokedAt, RevokeReason: keys.Reason(r.RevokeReason),
		DeletedAt: r.DeletedAt, RotatedFrom: r.RotatedFrom, RotatedTo: r.RotatedTo, RetiresAt: r.RetiresAt, RotateBy: r.RotateBy,
		RotateEveryDays: r.RotateEveryDays, RotateOverlapHours: r.RotateOverlapHours,
		LastUsedAt: r.LastUsedAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
	address, _, _ := strings.Cut(r.LastUsedIP, "/")
	k.LastUsedIP, _ = netip.ParseAddr(address) // none where it is not known
	if r.Kind == apikey.KindManagement.String() {
		k.Kind = apikey.KindManagement
	}
	_ = json.Unmarshal([]byte(r.LimitOverrides), &k.LimitOverrides) // written by rowOfKey
	k.Environment, _ = apikey.ParseEnvironment(r.Environment)
	k.AllowCIDRs, _ = parsePrefixes(r.AllowCIDRs) // written from valid ones; judged from Records, which checks
	k.DenyCIDRs, _ = parsePrefixes(r.DenyCIDRs)
	return k
}

func domainsOf(rows []*keyRow) []keys.Key {
	all := make([]keys.Key, len(rows))
	for i, r := range rows {
		all[i] = r.domain()
	}
	return all
}

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
	if len(in.Keys) == 0 { // one statement, and nothing to tell
		return translate(remember(ctx, s.db.bun, in.Request))
	}
	return s.db.change(ctx, func(ctx context.Context, tx bun.Tx) ([]journal.Entry, error) {
		if err := remember(ctx, tx, in.Request); err != nil {
			return nil, err
		}
		if err := lockOwners(ctx, tx, &in); err != nil {
			return nil, err
		}
		if err := labelsFree(ctx, tx, in); err != nil {
			return nil, err
		}
		for _, k := range in.Keys {
			if k.Key.Kind == apikey.KindManagement {
				if err := closeSetup(ctx, tx, in.OnlyInSetup); err != nil {
					return nil, err
				}
				break
			}
		}
		if err := insertAll(ctx, tx, in); err != nil {
			return nil, err
		}
		return in.Entries, quotasHold(ctx, tx, in.Quotas, in.At)
	})
}

func insertAll(ctx context.Context, tx bun.Tx, in keys.Insertion) error {
	if err := subscribe(ctx, tx, in.Subscriptions); err != nil {
		return err
	}
	if err := plansStay(ctx, tx, in.Keys); err != nil {
		return err
	}
	rows := make([]*newKeyRow, len(in.Keys))
	for i, k := range in.Keys {
		rows[i] = newRowOfKey(k)
	}
	_, err := tx.NewInsert().Model(&rows).Exec(ctx)
	return err
}

// Update implements keys.Store.
func (s *Keys) Update(ctx context.Context, key id.Key, change func(*keys.Key) (*journal.Entry, error)) (keys.Key, error) {
	edited, err := s.Edit(ctx, keys.Selection{IDs: []id.Key{key}}, change)
	if err != nil {
		return keys.Key{}, err
	}
	return edited[0], nil
}

// ByID implements keys.Store.
func (s *Keys) ByID(ctx context.Context, key id.Key) (keys.Key, error) {
	return s.one(ctx, "k.id = ?", key)
}

func (s *Keys) one(ctx context.Context, condition string, args ...any) (keys.Key, error) {
	row := new(keyRow)
	if err := s.db.bun.NewSelect().Model(row).Where("k.deleted_at IS NULL").Where(condition, args...).Scan(ctx); err != nil {
		return keys.Key{}, translate(err)
	}
	return row.domain(), nil
}
