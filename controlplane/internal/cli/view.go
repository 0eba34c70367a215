package cli

import (
	"encoding/json"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// The shapes of the admin API, for --json; a test keeps the two equal.

type keyView struct {
	ID             string          `json:"id"`
	Kind           string          `json:"kind"`
	Environment    *string         `json:"environment"`
	Status         string          `json:"status"`
	Name           string          `json:"name"`
	Start          string          `json:"start"`
	Last4          string          `json:"last4"`
	OwnerID        string          `json:"owner_id"`
	SubscriptionID *string         `json:"subscription_id"`
	Scopes         []string        `json:"scopes"`
	Tags           []string        `json:"tags"`
	Metadata       json.RawMessage `json:"metadata"`
	AllowCIDRs     []string        `json:"allow_cidrs"`
	DenyCIDRs      []string        `json:"deny_cidrs"`
	AllowMethods   []string        `json:"allow_methods"`
	AllowPaths     []string        `json:"allow_paths"`
	NotBefore      *time.Time      `json:"not_before"`
	ExpiresAt      *time.Time      `json:"expires_at"`
	DisabledAt     *time.Time      `json:"disabled_at"`
	RevokedAt      *time.Time      `json:"revoked_at"`
	RevokeReason   *string         `json:"revoke_reason"`
	CreatedAt      time.Time       `json:"created_at"`
	UpdatedAt      time.Time       `json:"updated_at"`
}

func viewKey(k keys.Key, now time.Time) keyView {
	return keyView{
		ID: k.ID.String(), Kind: k.Kind.String(), Environment: orNull(k.Environment.String()), Status: string(k.Status(now)),
		Name: k.Name, Start: k.Start, Last4: k.Last4, OwnerID: k.OwnerID.String(), SubscriptionID: orNull(k.SubscriptionID.String()),
		Scopes: k.Scopes, Tags: k.Tags, Metadata: k.Metadata, AllowCIDRs: texts(k.AllowCIDRs), DenyCIDRs: texts(k.DenyCIDRs),
		AllowMethods: k.AllowMethods, AllowPaths: k.AllowPaths, NotBefore: k.NotBefore, ExpiresAt: k.ExpiresAt,
		DisabledAt: k.DisabledAt, RevokedAt: k.RevokedAt, RevokeReason: orNull(string(k.RevokeReason)),
		CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
	}
}

// issuedView is the answer to an issue, the only place where the secret is.
type issuedView struct {
	Key    keyView `json:"key"`
	Secret string  `json:"secret"`
}

type userView struct {
	ID         string          `json:"id"`
	Kind       string          `json:"kind"`
	Name       string          `json:"name"`
	Username   *string         `json:"username"`
	Email      *string         `json:"email"`
	ExternalID *string         `json:"external_id"`
	Role       string          `json:"role"`
	Metadata   json.RawMessage `json:"metadata"`
	DisabledAt *time.Time      `json:"disabled_at"`
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

func viewUser(u users.User) userView {
	return userView{
		ID: u.ID.String(), Kind: string(u.Kind), Name: u.Name, Username: orNull(u.Username), Email: orNull(u.Email),
		ExternalID: orNull(u.ExternalID), Role: string(u.Role), Metadata: u.Metadata, DisabledAt: u.DisabledAt,
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func texts(networks []netip.Prefix) []string {
	all := []string{}
	for _, n := range networks {
		all = append(all, n.String())
	}
	return all
}
