package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/api"
	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// user finds a user by id or username; "" is none. What begins like an id is
// one: a username has no underscore behind three letters by chance.
func (s *session) user(ctx context.Context, core *app.Core, text string) (id.User, error) {
	if text == "" {
		return id.User{}, nil
	}
	if parsed, err := id.Parse[id.UserKind](text); err == nil {
		return parsed, nil
	}
	found, err := core.Users.List(ctx, s.caller(), users.Filter{Username: text, Limit: 1})
	if err != nil {
		return id.User{}, err
	}
	if len(found) == 0 {
		return id.User{}, fault.New(fault.NotFound, "there is no user with this id or username").WithFix("find one with: %s users list", s.program)
	}
	return found[0].ID, nil
}

type createUserCmd struct {
	Name         string `required:"" placeholder:"NAME" help:"The full name, for people."`
	Username     string `placeholder:"USERNAME" help:"For signing in; unique."`
	Email        string `placeholder:"ADDRESS" help:"The e-mail address."`
	ExternalID   string `placeholder:"ID" help:"Your own id of this user; unique."`
	Role         string `enum:"member,viewer,operator,admin,owner" default:"member" placeholder:"ROLE" help:"What they may do: member, viewer, operator, admin or owner; member where not given."`
	Kind         string `enum:"person,service" default:"person" placeholder:"KIND" help:"person or service; person where not given."`
	Password     bool   `xor:"password" help:"Ask for a password, or read it from stdin."`
	PasswordFile string `xor:"password" placeholder:"FILE" help:"Read the password from this file."`
}

func (createUserCmd) Help() string {
	return `Examples:

    latchkey users create --name 'Ada Lovelace' --username ada --role owner --password
    latchkey users create --name billing --kind service`
}

// Run creates the user.
func (c *createUserCmd) Run(ctx context.Context, s *session) (err error) {
	in := users.NewUser{
		Kind: users.Kind(c.Kind), Name: c.Name, Username: c.Username, Email: c.Email, ExternalID: c.ExternalID, Role: access.Role(c.Role),
	}
	if c.Password || c.PasswordFile != "" {
		if in.Password, err = s.hashedPassword(ctx, c.PasswordFile); err != nil {
			return err
		}
	}
	return s.withCore(ctx, func(core *app.Core) error {
		u, err := core.Users.Create(ctx, s.caller(), in)
		if err != nil {
			return err
		}
		return s.print(api.ViewUser(u), func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "Created %s, %q, with the role %s.\n", u.ID, u.Name, u.Role)
		})
	})
}

type listUsersCmd struct {
	Role *string `enum:"member,viewer,operator,admin,owner" placeholder:"ROLE" help:"Only users with this role: member, viewer, operator, admin or owner."`
}

// Run lists users.
func (c *listUsersCmd) Run(ctx context.Context, s *session) error {
	filter := users.Filter{Limit: pageSize}
	if c.Role != nil {
		filter.Role = access.Role(*c.Role)
	}
	return s.withCore(ctx, func(core *app.Core) error {
		l := s.newList("%-36s  %-8s  %-8s  %-8s  %-20s  %s", "ID", "ROLE", "KIND", "STATUS", "USERNAME", "NAME")
		err := pages(func(last *users.User) ([]users.User, error) {
			if last != nil {
				filter.After = last.ID
			}
			return core.Users.List(ctx, s.caller(), filter)
		}, func(u users.User) error {
			status := "active"
			if u.DisabledAt != nil {
				status = "disabled"
			}
			return l.add(api.ViewUser(u), u.ID, u.Role, u.Kind, status, u.Username, u.Name)
		})
		return l.end(err, "There are no such users.")
	})
}

type setPasswordCmd struct {
	User         string `arg:"" help:"The user's id or username."`
	PasswordFile string `placeholder:"FILE" help:"Read the password from this file instead of the terminal or stdin."`
}

// Run gives the user a password.
func (c *setPasswordCmd) Run(ctx context.Context, s *session) error {
	hash, err := s.hashedPassword(ctx, c.PasswordFile)
	if err != nil {
		return err
	}
	return s.withCore(ctx, func(core *app.Core) error {
		user, err := s.user(ctx, core, c.User)
		if err != nil {
			return err
		}
		u, err := core.Users.SetPassword(ctx, s.caller(), user, hash)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "there is no user with this id").WithFix("find one with: %s users list", s.program)
		}
		if err != nil {
			return err
		}
		return s.print(api.ViewUser(u), func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "The password of %s, %q, is set.\n", u.ID, u.Name)
		})
	})
}
