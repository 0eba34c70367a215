package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/api"
	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

type issueCmd struct {
	Name          string    `required:"" placeholder:"NAME" help:"What the key is called, for people."`
	Env           *string   `enum:"live,test" placeholder:"ENVIRONMENT" help:"live or test; live where not given."`
	Plan          string    `placeholder:"SLUG" help:"Issue under this plan; the owner is put on it where they are not."`
	Owner         string    `placeholder:"USER" help:"Who holds the key: a user's id or username. The built-in user where not given."`
	Scope         []string  `placeholder:"SCOPE" help:"What the key may do, such as reports:read; repeat for more."`
	Tag           []string  `placeholder:"TAG" help:"A tag to find it by; repeat for more."`
	ExpiresInDays *lifetime `placeholder:"DAYS" help:"Days until it expires; never where not given."`
	AllowCIDR     []network `name:"allow-cidr" placeholder:"NETWORK" help:"Good from this network only, such as 203.0.113.0/24; repeat for more."`
	Management    bool      `help:"A key for the admin API instead of one for your services; needs --scope, '*' for all."`
}

func (issueCmd) Help() string {
	return `The secret alone goes to stdout, so that it can be piped; what else there is to say goes to stderr.

Examples:

    latchkey keys issue --name ci --scope reports:read --expires-in-days 90
    latchkey keys issue --name app --plan pro --owner ada --env test
    latchkey keys issue --name admin --management --scope '*'`
}

// network is a network, or an address that stands for itself alone.
type network struct{ netip.Prefix }

// UnmarshalText reads CIDR notation or an address.
func (n *network) UnmarshalText(b []byte) (err error) {
	n.Prefix, err = apikey.ParseNetwork(string(b))
	return err
}

// lifetime is a number of days. 0 is none: in the domain it stands for a key that
// never expires, which nobody means who gives a number.
type lifetime int

// UnmarshalText reads 90.
func (l *lifetime) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 1 || n > keys.MaxExpireDays {
		return fmt.Errorf("want whole days from 1 to %d", keys.MaxExpireDays)
	}
	*l = lifetime(n)
	return nil
}

// Run issues the key.
func (c *issueCmd) Run(ctx context.Context, s *session) error {
	in := keys.NewKey{Name: c.Name, Plan: c.Plan, Scopes: c.Scope, Tags: c.Tag}
	if c.ExpiresInDays != nil {
		in.ExpiresInDays = int(*c.ExpiresInDays)
	}
	if c.Management {
		in.Kind = apikey.KindManagement
	}
	if c.Env != nil {
		in.Environment, _ = apikey.ParseEnvironment(*c.Env)
	}
	for _, n := range c.AllowCIDR {
		in.AllowCIDRs = append(in.AllowCIDRs, n.Prefix)
	}
	return s.withCore(ctx, func(core *app.Core) (err error) {
		if in.OwnerID, err = s.user(ctx, core, c.Owner); err != nil {
			return err
		}
		issued, err := core.Keys.Issue(ctx, s.caller(), in)
		if err != nil {
			return err
		}
		k := issued.Key
		s.say("Issued %s, %q. This is its secret, shown once and stored nowhere:", k.ID, k.Name)
		return s.print(api.IssuedView{Key: api.ViewKey(k, s.env.Now()), Secret: issued.Secret.Reveal()}, func(w io.Writer) {
			_, _ = fmt.Fprintln(w, issued.Secret.Reveal())
		})
	})
}

type listCmd struct {
	Owner string  `placeholder:"USER" help:"Only keys of this user, by id or username."`
	Plan  string  `placeholder:"SLUG" help:"Only keys under this plan."`
	Kind  *string `enum:"api,management" placeholder:"KIND" help:"Only api or only management keys."`
}

// Run lists keys.
func (c *listCmd) Run(ctx context.Context, s *session) error {
	filter := keys.Filter{Plan: c.Plan, Limit: pageSize}
	if c.Kind != nil {
		kind := apikey.KindAPI
		if *c.Kind == apikey.KindManagement.String() {
			kind = apikey.KindManagement
		}
		filter.Kind = &kind
	}
	return s.withCore(ctx, func(core *app.Core) (err error) {
		if filter.OwnerID, err = s.user(ctx, core, c.Owner); err != nil {
			return err
		}
		now := s.env.Now()
		l := s.newList("%-36s  %-13s  %-10s  %-24s  %-10s  %-10s  %s", "ID", "STATUS", "KIND", "SECRET", "EXPIRES", "LAST USED", "NAME")
		err = pages(func(last *keys.Key) ([]keys.Key, error) {
			if last != nil {
				filter.From(last)
			}
			return core.Keys.List(ctx, s.caller(), filter)
		}, func(k keys.Key) error {
			return l.add(api.ViewKey(k, now), k.ID, k.Status(now), kindOf(k), k.Start+"…"+k.Last4, day(k.ExpiresAt), day(k.LastUsedAt), k.Name)
		})
		if *c != (listCmd{}) {
			return l.end(err, "There are no such keys.")
		}
		return l.end(err, "There are no keys here yet: latchkey keys issue --name NAME makes one.")
	})
}

// kindOf is a key's kind for people: management, or the environment it is for.
func kindOf(k keys.Key) string {
	if k.Kind == apikey.KindManagement {
		return k.Kind.String()
	}
	return k.Environment.String()
}

func day(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.DateOnly)
}

type revokeCmd struct {
	Key    id.Key `arg:"" name:"key-id" help:"The key's id, key_…, as keys list shows it."`
	Reason string `enum:"unspecified,key_compromise,affiliation_changed,superseded,cessation_of_operation,privilege_withdrawn" default:"unspecified" placeholder:"REASON" help:"Why: unspecified, key_compromise (which nothing undoes), affiliation_changed, superseded, cessation_of_operation or privilege_withdrawn."`
}

// Run revokes the key.
func (c *revokeCmd) Run(ctx context.Context, s *session) error {
	return s.withCore(ctx, func(core *app.Core) error {
		k, err := core.Keys.Revoke(ctx, s.caller(), c.Key, keys.Reason(c.Reason))
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "there is no key with this id").WithFix("find it with: %s keys list", s.program)
		}
		if err != nil {
			return err
		}
		return s.print(api.ViewKey(k, s.env.Now()), func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "Revoked %s, %q, at %s (%s). It is refused everywhere from then on.\n",
				k.ID, k.Name, k.RevokedAt.UTC().Format(time.RFC3339), k.RevokeReason)
		})
	})
}
