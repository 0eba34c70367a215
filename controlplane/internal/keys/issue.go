package keys

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Service is what may be done with keys. Safe for concurrent use.
type Service struct {
	store  Store
	facts  Facts
	digest Digester
	prefix string
	now    func() time.Time
}

// Facts are the things that a key is issued on.
type Facts struct {
	Owners        Owners
	Plans         Plans
	Subscriptions Subscriptions
}

// Config is what a Service is made of. Prefix is the prefix of new keys.
type Config struct {
	Store  Store
	Facts  Facts
	Digest Digester
	Prefix string
	Now    func() time.Time
}

// New returns the service.
func New(c Config) *Service {
	return &Service{store: c.Store, facts: c.Facts, digest: c.Digest, prefix: c.Prefix, now: c.Now}
}

// NewKey is a key to be issued. Only Name is needed.
type NewKey struct {
	Kind           apikey.Kind
	Environment    apikey.Environment // Live where not given
	OwnerID        id.User            // the built-in user where not given
	SubscriptionID id.Subscription
	Plan           string // a slug: the owner's live subscription on it is reused, or made
	Name           string
	Scopes, Tags   []string
	Metadata       json.RawMessage

	AllowCIDRs, DenyCIDRs    []netip.Prefix
	AllowMethods, AllowPaths []string

	NotBefore, ExpiresAt *time.Time
	ExpiresInDays        int // instead of ExpiresAt
}

// Issued is a new key with its secret, which is nowhere else.
type Issued struct {
	Key    Key
	Secret apikey.Secret
}

// Issue makes a key. It needs keys:write, and for a management key every scope
// that the key is to hold; the set-up window may issue management keys only.
func (s *Service) Issue(ctx context.Context, caller access.Caller, in NewKey) (Issued, error) {
	if err := mayIssue(caller, in); err != nil {
		return Issued{}, err
	}
	now := s.now().UTC()
	k, err := in.key(now)
	if err != nil {
		return Issued{}, err
	}
	insertion := Insertion{OnlyInSetup: caller.IsSetup()}
	if err := s.bind(ctx, caller, in, &k, &insertion); err != nil {
		return Issued{}, err
	}
	secret := apikey.NewSecret(s.prefix, k.Kind, k.Environment)
	k.Start, k.Last4 = secret.Start(), secret.Last4()
	_, after := journal.Diff(struct{}{}, k)
	insertion.Key, insertion.Digest = k, s.digest.Digest(secret.Fingerprint())
	insertion.Entries = append(insertion.Entries, journal.Entry{Caller: caller, At: now, Action: "key.issue", Target: k.target(), After: after})
	if err := s.store.Insert(ctx, insertion); err != nil {
		return Issued{}, err
	}
	return Issued{Key: k, Secret: secret}, nil
}

func mayIssue(caller access.Caller, in NewKey) error {
	if caller.IsSetup() {
		if in.Kind == apikey.KindManagement {
			return nil
		}
		return fault.New(fault.Forbidden, "the set-up token opens nothing but the first management key").
			WithFix(`send "kind": "management"`)
	}
	if err := caller.Require(access.KeysWrite); err != nil {
		return err
	}
	if in.Kind == apikey.KindManagement {
		return caller.MayGrant(in.Scopes)
	}
	return nil
}

// bind finds the owner and the subscription that the key hangs on.
func (s *Service) bind(ctx context.Context, caller access.Caller, in NewKey, k *Key, out *Insertion) error {
	owner, err := s.owner(ctx, in.OwnerID)
	if err != nil {
		return err
	}
	k.OwnerID = owner.ID
	if k.Kind == apikey.KindManagement {
		return nil
	}
	sub, plan, err := s.subscription(ctx, caller, in, owner, out)
	if err != nil || sub.ID.IsZero() {
		return err
	}
	k.SubscriptionID = sub.ID
	if !apikey.Within(k.Scopes, plan.Scopes) {
		return invalid("body.scopes", "the plan %s does not grant all of them", plan.Slug)
	}
	return nil
}

func (s *Service) owner(ctx context.Context, owner id.User) (users.User, error) {
	if owner.IsZero() {
		owner = users.DefaultID
	}
	u, err := s.facts.Owners.ByID(ctx, owner)
	switch {
	case fault.Is(err, fault.NotFound):
		return u, invalid("body.owner_id", "there is no such user")
	case err == nil && u.DisabledAt != nil:
		return u, fault.New(fault.Conflict, "this user is disabled").WithFix("enable the user, or issue to another")
	}
	return u, err
}

// subscription returns what the key is issued under, if anything: by id, or by
// the slug of a plan, for which one is made where the owner has none.
func (s *Service) subscription(ctx context.Context, caller access.Caller, in NewKey, owner users.User, out *Insertion) (sub subscriptions.Subscription, plan plans.Plan, err error) {
	switch {
	case !in.SubscriptionID.IsZero() && in.Plan != "":
		return sub, plan, invalid("body.plan", "give either plan or subscription_id")
	case !in.SubscriptionID.IsZero():
		return s.named(ctx, in.SubscriptionID, owner)
	case in.Plan == "":
		return sub, plan, nil
	}
	plan, err = s.facts.Plans.BySlug(ctx, in.Plan)
	if fault.Is(err, fault.NotFound) {
		return sub, plan, invalid("body.plan", "there is no plan with this slug")
	}
	if err != nil {
		return sub, plan, err
	}
	live, err := s.facts.Subscriptions.List(ctx, subscriptions.Filter{UserID: owner.ID, PlanID: plan.ID, Limit: 10})
	if err != nil {
		return sub, plan, err
	}
	for _, sub := range live {
		if sub.Status != apikey.Ended {
			return sub, plan, nil
		}
	}
	if plan.ArchivedAt != nil {
		return sub, plan, fault.New(fault.Conflict, "the plan %s is archived and takes no new subscriptions", plan.Slug)
	}
	sub, entry := subscriptions.Make(caller, subscriptions.NewSubscription{UserID: owner.ID, PlanID: plan.ID}, s.now())
	out.Subscription, out.Entries = &sub, append(out.Entries, entry)
	return sub, plan, nil
}

// named returns the subscription with an id, which must be the owner's.
func (s *Service) named(ctx context.Context, wanted id.Subscription, owner users.User) (sub subscriptions.Subscription, plan plans.Plan, err error) {
	sub, err = s.facts.Subscriptions.ByID(ctx, wanted)
	if fault.Is(err, fault.NotFound) || err == nil && sub.UserID != owner.ID {
		return sub, plan, invalid("body.subscription_id", "the owner has no such subscription")
	}
	if err != nil {
		return sub, plan, err
	}
	if sub.Status == apikey.Ended {
		return sub, plan, fault.New(fault.Conflict, "this subscription has ended").WithFix("issue under a live subscription or a plan")
	}
	plan, err = s.facts.Plans.ByID(ctx, sub.PlanID)
	return sub, plan, err
}

func invalid(location, format string, args ...any) error {
	var f fault.Fields
	f.Add(location, format, args...)
	return f.Err()
}

func (k *Key) target() journal.Target {
	return journal.Target{Kind: "key", ID: k.ID.String(), Name: k.Name}
}
