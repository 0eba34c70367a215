// Package access says who is calling and what they may do. It owns the closed
// list of management scopes, the roles that bundle them, and the Caller that
// every domain service is handed.
//
// Invariant: a caller can do nothing for which it does not hold the scope, and
// can hand out no scope that it does not hold itself. A zero Caller may do
// nothing at all.
package access

import (
	"slices"
	"strings"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Scope is a right over the control plane. Application scopes, which keys
// carry for the services behind the doors, are free words and not of this type.
type Scope string

// The management scopes.
const (
	All                Scope = "*"
	KeysRead           Scope = "keys:read"
	KeysWrite          Scope = "keys:write"
	UsersRead          Scope = "users:read"
	UsersWrite         Scope = "users:write"
	PlansRead          Scope = "plans:read"
	PlansWrite         Scope = "plans:write"
	SubscriptionsRead  Scope = "subscriptions:read"
	SubscriptionsWrite Scope = "subscriptions:write"
	AuditRead          Scope = "audit:read"
	GatewaysRead       Scope = "gateways:read"
	SettingsWrite      Scope = "settings:write"
	EdgeConnect        Scope = "edge:connect"
	OnBehalf           Scope = "auth:on-behalf"
)

// Scopes is the closed list of management scopes, in the order in which people
// are shown them.
var Scopes = []Scope{
	KeysRead, KeysWrite, UsersRead, UsersWrite, PlansRead, PlansWrite,
	SubscriptionsRead, SubscriptionsWrite, AuditRead, GatewaysRead, SettingsWrite,
	EdgeConnect, OnBehalf, All,
}

// Known reports whether s is a management scope.
func Known(s string) bool { return slices.Contains(Scopes, Scope(s)) }

// ScopeNames lists the management scopes for messages and documents.
func ScopeNames() string {
	names := make([]string, len(Scopes))
	for i, s := range Scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// ActorKind says what kind of caller acts.
type ActorKind string

// The kinds of actor.
const (
	ActorKey    ActorKind = "key"    // a management key
	ActorUser   ActorKind = "user"   // a signed-in user
	ActorCLI    ActorKind = "cli"    // whoever can read the data directory or DATABASE_URL
	ActorSetup  ActorKind = "setup"  // the set-up window
	ActorSystem ActorKind = "system" // Latchkey itself
)

// Actor is who did something, as the journal keeps it.
type Actor struct {
	Kind ActorKind `json:"kind"`
	ID   string    `json:"id,omitempty"`
	Name string    `json:"name,omitempty"`
}

// Caller is an actor with what it may do and where its request came from.
type Caller struct {
	Actor     Actor
	Scopes    []Scope
	Address   string // the client's address, "" where there is none
	RequestID string
}

// CLI is the caller behind the command line: whoever can read the data
// directory or DATABASE_URL can do everything, and is named in the journal.
func CLI(account string) Caller {
	return Caller{Actor: Actor{Kind: ActorCLI, Name: account}, Scopes: []Scope{All}}
}

// System is Latchkey acting by itself.
func System() Caller {
	return Caller{Actor: Actor{Kind: ActorSystem}, Scopes: []Scope{All}}
}

// Holds reports whether the caller holds a scope.
func (c Caller) Holds(want Scope) bool {
	return slices.Contains(c.Scopes, want) || slices.Contains(c.Scopes, All)
}

// Require returns nil where the caller holds the scope, else a Forbidden fault
// that names it.
func (c Caller) Require(want Scope) error {
	if c.Holds(want) {
		return nil
	}
	return fault.New(fault.Forbidden, "this credential lacks the scope %s", want).
		WithFix("use a credential with the scope %s", want)
}

// MayGrant returns nil where the caller may hand out every one of the scopes,
// which it may only where it holds them.
func (c Caller) MayGrant(scopes []string) error {
	for _, s := range scopes {
		if !c.Holds(Scope(s)) {
			return fault.New(fault.Forbidden, "a caller cannot grant the scope %s, which it does not hold", s)
		}
	}
	return nil
}

// IsSetup reports whether the caller came through the set-up window, which is
// good for making the first management key or owner and for nothing else.
func (c Caller) IsSetup() bool { return c.Actor.Kind == ActorSetup }

// IsUser reports whether the caller is the signed-in user with this id.
func (c Caller) IsUser(id string) bool { return c.Actor.Kind == ActorUser && c.Actor.ID == id }

// CallerOf returns the caller that a management key's record stands for.
func CallerOf(r *apikey.Record) Caller {
	c := Caller{Actor: Actor{Kind: ActorKey, ID: r.Key.ID, Name: r.Key.Name}}
	for s := range r.Key.Scopes.All() {
		c.Scopes = append(c.Scopes, Scope(s))
	}
	return c
}
