package access

import (
	"slices"
	"strings"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// Role is a bundle of scopes that a user has when signed in.
type Role string

// The roles, from the least to the most.
const (
	Member   Role = "member"   // its own keys and nothing else
	Viewer   Role = "viewer"   // reads everything except the audit log
	Operator Role = "operator" // viewer, and writes keys and subscriptions
	Admin    Role = "admin"    // everything except touching owners
	Owner    Role = "owner"    // everything
)

// Roles lists the roles from the least to the most.
var Roles = []Role{Member, Viewer, Operator, Admin, Owner}

// KnownRole reports whether r is a role.
func KnownRole(r Role) bool { return slices.Contains(Roles, r) }

// RoleNames lists the roles for messages.
func RoleNames() string {
	names := make([]string, len(Roles))
	for i, r := range Roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// Scopes returns what the role may do.
func (r Role) Scopes() []Scope {
	switch r {
	case Owner:
		return []Scope{All}
	case Admin:
		return slices.DeleteFunc(slices.Clone(Scopes), func(s Scope) bool { return s == All })
	case Operator:
		return append(Viewer.Scopes(), KeysWrite, SubscriptionsWrite)
	case Viewer:
		return slices.DeleteFunc(slices.Clone(Scopes), func(s Scope) bool {
			return s == AuditRead || !strings.HasSuffix(string(s), ":read")
		})
	}
	return nil
}

// MayTouch returns nil where the caller holds everything that the role holds:
// nobody makes, edits or ends a user who may do more than they may.
func (c Caller) MayTouch(r Role) error {
	for _, s := range r.Scopes() {
		if !c.Holds(s) {
			return fault.New(fault.Forbidden, "this credential may not touch a user with the role %s: it lacks the scope %s", r, s)
		}
	}
	return nil
}
