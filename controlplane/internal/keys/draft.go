package keys

import (
	"context"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

// draft is one attempt at issuing keys. It reads every owner, plan and
// subscription once, however many keys hang on them.
type draft struct {
	service   *Service
	caller    access.Caller
	now       time.Time
	policy    Policy
	at        func(int, error) error // says which key of the batch an error is of
	owners    map[id.User]users.User
	plans     map[string]plans.Plan
	under     map[string]subscription
	quotas    map[Quota]bool
	insertion Insertion
}

// subscription is what a key is issued under, if anything.
type subscription struct {
	id   id.Subscription
	plan plans.Plan
}

func (s *Service) draft(ctx context.Context, caller access.Caller, at func(int, error) error) (*draft, error) {
	policy, err := s.policies(ctx)
	now := s.now.Moment()
	return &draft{
		service: s, caller: caller, now: now, policy: policy, at: at,
		owners: map[id.User]users.User{}, plans: map[string]plans.Plan{}, under: map[string]subscription{}, quotas: map[Quota]bool{},
		insertion: Insertion{At: now, OnlyInSetup: caller.IsSetup()},
	}, err
}

// issue fills the insertion with what is new and answers all.
func (d *draft) issue(ctx context.Context, in []NewKey) ([]Issued, error) {
	keys := make([]Key, len(in))
	var wrong fault.Fields
	for i := range in {
		var err error
		if keys[i], err = in[i].key(d.now, d.policy); err != nil && !wrong.Take(d.at(i, err)) {
			return nil, err
		}
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	labelled, err := d.labelled(ctx, in, keys)
	if err != nil {
		return nil, err
	}
	all := make([]Issued, len(in))
	for i := range in {
		if existing, ok := labelled[i]; ok {
			all[i] = Issued{Key: existing, Already: true}
			continue
		}
		if err := d.bind(ctx, in[i], &keys[i]); err != nil {
			return nil, d.at(i, err)
		}
		all[i] = d.seal(keys[i])
	}
	for q := range d.quotas {
		d.insertion.Quotas = append(d.insertion.Quotas, q)
	}
	return all, nil
}

// labelled finds the live keys that have a label of the batch already, by their
// place in it.
func (d *draft) labelled(ctx context.Context, in []NewKey, keys []Key) (map[int]Key, error) {
	type place struct {
		owner id.User
		label string
	}
	wanted := map[place]int{}
	var owners []id.User
	var labels []string
	for i, k := range keys {
		if k.Label == "" {
			continue
		}
		at := place{k.OwnerID, k.Label}
		if _, twice := wanted[at]; twice {
			return nil, d.at(i, invalid("body.label", "another key of this request has this label and owner"))
		}
		wanted[at] = i
		owners, labels = append(owners, k.OwnerID), append(labels, k.Label)
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	there, err := d.service.store.Labelled(ctx, owners, labels, d.now)
	if err != nil {
		return nil, err
	}
	found := map[int]Key{}
	for _, k := range there {
		i, ok := wanted[place{k.OwnerID, k.Label}]
		if !ok {
			continue
		}
		if !in[i].Idempotent {
			return nil, d.at(i, labelTaken())
		}
		found[i] = k
	}
	return found, nil
}

func labelTaken() error {
	e := fault.New(fault.Conflict, "a live key of this owner has this label").WithCode(fault.CodeTaken).
		WithFix(`send "idempotent": true to get that key, or choose another label`)
	e.Fields = []fault.Field{{Location: "body.label", Message: "a live key of this owner has this label"}}
	return e
}

// seal gives the key its secret and adds it to the insertion.
func (d *draft) seal(k Key) Issued {
	secret := apikey.NewSecret(d.service.prefix, k.Kind, k.Environment)
	k.Start, k.Last4 = secret.Start(), secret.Last4()
	d.insertion.Keys = append(d.insertion.Keys, Sealed{Key: k, Digest: d.service.digest.Digest(secret.Fingerprint())})
	d.insertion.Entries = append(d.insertion.Entries, issueEntry(d.caller, &k))
	return Issued{Key: k, Secret: secret}
}

func issueEntry(caller access.Caller, k *Key) journal.Entry {
	_, after := journal.Diff(struct{}{}, *k)
	return journal.Entry{Caller: caller, At: k.CreatedAt, Action: "key.issue", Target: k.target(), After: after}
}

// bind finds the owner and the subscription that the key hangs on, and what
// they bound it to.
func (d *draft) bind(ctx context.Context, in NewKey, k *Key) error {
	owner, err := d.owner(ctx, k.OwnerID)
	if err != nil || k.Kind == apikey.KindManagement {
		return err
	}
	sub, err := d.subscription(ctx, in, owner)
	if err != nil {
		return err
	}
	if q, bounded := quota(owner, sub.plan); bounded {
		d.quotas[q] = true
	}
	k.SubscriptionID, k.PlanID = sub.id, sub.plan.ID
	if err := granted(k, sub.plan); err != nil {
		return err
	}
	if last := d.policy.lastDay(sub.plan, d.now); last != nil && k.ExpiresAt == nil {
		k.ExpiresAt = last
	}
	return d.policy.withinLifetime(k, sub.plan)
}

// granted reports whether a key's scopes are within a plan; the zero plan is no
// bound.
func granted(k *Key, plan plans.Plan) error {
	if len(k.Scopes) > 0 && !apikey.Within(k.Scopes, plan.Scopes) {
		return invalid("body.scopes", "the plan %s does not grant all of them", plan.Slug)
	}
	return nil
}

// quota says how many live API keys an owner may hold: as many as its own bound
// says, else as the plan's does under that plan.
func quota(owner users.User, plan plans.Plan) (Quota, bool) {
	switch {
	case owner.MaxKeys != nil:
		return Quota{OwnerID: owner.ID, Max: *owner.MaxKeys}, true
	case plan.MaxKeys != nil:
		return Quota{OwnerID: owner.ID, PlanID: plan.ID, Max: *plan.MaxKeys}, true
	}
	return Quota{}, false
}

func (d *draft) owner(ctx context.Context, owner id.User) (users.User, error) {
	if u, ok := d.owners[owner]; ok {
		return u, nil
	}
	u, err := d.service.facts.Owners.ByID(ctx, owner)
	switch {
	case fault.Is(err, fault.NotFound):
		return u, invalid("body.owner_id", "there is no such user")
	case err == nil && u.DisabledAt != nil:
		return u, fault.New(fault.Conflict, "this user is disabled").WithFix("enable the user, or issue to another")
	case err == nil:
		d.owners[owner] = u
	}
	return u, err
}

// relocate says which key of a batch an error is of.
func relocate(i int, err error) error {
	return fault.Within(err, "body", fmt.Sprintf("body.keys[%d]", i))
}

func invalid(location, format string, args ...any) error {
	var f fault.Fields
	f.Add(location, format, args...)
	return f.Err()
}

func (k *Key) target() journal.Target {
	return journal.Target{Kind: "key", ID: k.ID.String(), Name: k.Name}
}
