package app

import (
	"context"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// ensureAdmin makes the first owner account where a password is configured and
// there is no owner yet. Of replicas that start together one makes it.
func (a *App) ensureAdmin(ctx context.Context) error {
	c := &a.Config
	if c.AdminPasswordHash.Empty() && c.AdminPassword.Empty() {
		return nil
	}
	owners, err := a.Users.List(ctx, access.System(), users.Filter{Role: access.Owner, Limit: 1})
	if err != nil || len(owners) > 0 {
		return err
	}
	hash, err := a.adminHash()
	if err != nil {
		return err
	}
	_, err = a.Users.Create(ctx, access.System(), users.NewUser{
		Name: c.AdminUsername, Username: c.AdminUsername, Role: access.Owner, Password: hash,
	})
	if fault.Is(err, fault.Conflict) { // another replica was faster
		return nil
	}
	return err
}

// adminHash returns the configured hash, or that of the configured password.
func (a *App) adminHash() (users.PasswordHash, error) {
	c := &a.Config
	if !c.AdminPasswordHash.Empty() {
		return users.ParsePasswordHash(c.AdminPasswordHash.Reveal())
	}
	a.log.Warn("ADMIN_PASSWORD is in plain text; ADMIN_PASSWORD_HASH is better (latchkey hash-password)")
	return users.HashPassword(c.AdminPassword.Reveal())
}
