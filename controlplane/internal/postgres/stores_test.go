package postgres_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

func TestEverythingComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	h, ctx := furnish(t, pgtest.DSN(t)), t.Context()
	same := cmp.Options{cmpopts.EquateApproxTime(time.Microsecond), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b id.User) bool { return a == b }), cmp.Comparer(func(a, b id.Key) bool { return a == b }), cmp.Comparer(func(a, b id.Plan) bool { return a == b }), cmp.Comparer(func(a, b id.Subscription) bool { return a == b })}

	u := must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{
		Name: "Ada's \"service\" '; DROP TABLE users; --", Username: "ada", Email: "ada@example.com", ExternalID: "cust-1",
		Role: access.Viewer, Metadata: json.RawMessage(`{"a": ["ü", "\\u0000x?"]}`),
	}))
	if got := must[users.User](t)(h.users.ByID(ctx, root(), u.ID)); !cmp.Equal(u, got, same) {
		t.Errorf("user: %s", cmp.Diff(u, got, same))
	}
	p := must[plans.Plan](t)(h.plans.Create(ctx, root(), plans.NewPlan{Slug: "pro", Name: "Pro?", Scopes: []string{"reports:*", "export"}}))
	if got := must[plans.Plan](t)(h.plans.ByID(ctx, root(), p.ID)); !cmp.Equal(p, got, same) {
		t.Errorf("plan: %s", cmp.Diff(p, got, same))
	}
	soon := time.Now().Add(time.Hour)
	k := must[keys.Issued](t)(h.keys.Issue(ctx, root(), keys.NewKey{
		Name: "ci", OwnerID: u.ID, Plan: "pro", Scopes: []string{"reports:read"}, Tags: []string{"team/a"}, Metadata: json.RawMessage(`{"n":1}`),
		AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/24")}, DenyCIDRs: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")},
		AllowMethods: []string{"GET"}, AllowPaths: []string{"/reports/*"}, ExpiresAt: &soon,
	})).Key
	if got := must[keys.Key](t)(h.keys.ByID(ctx, root(), k.ID)); !cmp.Equal(k, got, same) {
		t.Errorf("key: %s", cmp.Diff(k, got, same))
	}
	s := must[[]subscriptions.Subscription](t)(h.subscriptions.List(ctx, root(), subscriptions.Filter{UserID: u.ID, Limit: 10}))
	if len(s) != 1 || s[0].PlanID != p.ID || s[0].ID != k.SubscriptionID {
		t.Errorf("the subscription that issue made: %+v", s)
	}
	if verifyChain(t, h.db).Rows != 4 {
		t.Error("not every change has an audit row")
	}
}

func TestRecordIsComposedOfKeyOwnerAndPlan(t *testing.T) {
	t.Parallel()
	h, ctx := furnish(t, pgtest.DSN(t)), t.Context()
	u := must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{Name: "Ada", ExternalID: "cust-1"}))
	p := must[plans.Plan](t)(h.plans.Create(ctx, root(), plans.NewPlan{Slug: "pro", Name: "Pro", Scopes: []string{"reports:*", "export"}}))
	issued := must[keys.Issued](t)(h.keys.Issue(ctx, root(), keys.NewKey{
		Name: "ci", OwnerID: u.ID, Plan: "pro", Scopes: []string{"reports:read", "export"},
		AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
	}))
	rec, found := h.lookup(t, issued.Secret)
	if !found || rec.Key.ID != issued.Key.ID.String() || rec.User.ExternalID != "cust-1" || rec.Subscription.Plan != "pro" {
		t.Fatalf("found %v: %+v", found, rec)
	}
	want := []string{issued.Key.ID.String(), u.ID.String(), issued.Key.SubscriptionID.String(), p.ID.String()}
	if got := rec.DependsOn.Slice(); !cmp.Equal(got, want) {
		t.Errorf("depends on %v, want %v", got, want)
	}
	// A plan that narrows its scopes narrows the keys under it at once.
	must[plans.Plan](t)(h.plans.Update(ctx, root(), p.ID, plans.Patch{Scopes: field.To([]string{"export"})}))
	later, _ := h.lookup(t, issued.Secret)
	if got := later.Key.Scopes.Slice(); !cmp.Equal(got, []string{"export"}) {
		t.Errorf("effective scopes %v, want export alone", got)
	}
	if later.Change <= rec.Change {
		t.Errorf("the record's change number did not move: %d, then %d", rec.Change, later.Change)
	}
	if _, found := h.lookup(t, apikey.NewSecret("lk", apikey.KindAPI, apikey.Live)); found {
		t.Error("a key that was never issued was found")
	}
}

func TestWhatIsTakenOrMissingIsSaid(t *testing.T) {
	t.Parallel()
	h, ctx := furnish(t, pgtest.DSN(t)), t.Context()
	must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{Name: "Ada", Username: "ada", ExternalID: "x"}))
	must[plans.Plan](t)(h.plans.Create(ctx, root(), plans.NewPlan{Slug: "pro", Name: "Pro"}))
	for name, test := range map[string]struct {
		do   func() error
		kind fault.Kind
		at   string
	}{
		"username": {func() error {
			_, err := h.users.Create(ctx, root(), users.NewUser{Name: "B", Username: "ADA"})
			return err
		}, fault.Conflict, "body.username"},
		"external id": {func() error {
			_, err := h.users.Create(ctx, root(), users.NewUser{Name: "B", ExternalID: "x"})
			return err
		}, fault.Conflict, "body.external_id"},
		"slug": {func() error { _, err := h.plans.Create(ctx, root(), plans.NewPlan{Slug: "pro", Name: "B"}); return err }, fault.Conflict, "body.slug"},
		"no such owner": {func() error {
			_, err := h.keys.Issue(ctx, root(), keys.NewKey{Name: "k", OwnerID: id.New[id.UserKind]()})
			return err
		}, fault.Invalid, "body.owner_id"},
		"no such plan": {func() error { _, err := h.keys.Issue(ctx, root(), keys.NewKey{Name: "k", Plan: "gold"}); return err }, fault.Invalid, "body.plan"},
		"subscription of nobody": {func() error {
			_, err := h.subscriptions.Create(ctx, root(), subscriptions.NewSubscription{UserID: id.New[id.UserKind](), PlanID: id.New[id.PlanKind]()})
			return err
		}, fault.Invalid, ""},
		"no such key": {func() error { _, err := h.keys.Revoke(ctx, root(), id.New[id.KeyKind](), ""); return err }, fault.NotFound, ""},
	} {
		err := test.do()
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != test.kind || test.at != "" && (len(f.Fields) == 0 || f.Fields[0].Location != test.at) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verifyChain(t, h.db).Rows != 2 {
		t.Error("what was refused left an audit row")
	}
}

func TestSecretsAreNowhereInTheDatabase(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	h, ctx := furnish(t, dsn), t.Context()
	issued := h.issue(t, "ci")
	hash := must[users.PasswordHash](t)(users.HashPassword("correct horse battery"))
	u := must[users.User](t)(h.users.Create(ctx, root(), users.NewUser{Name: "Ada", Password: hash}))
	must[users.User](t)(h.users.SetPassword(ctx, root(), u.ID, hash))
	for row, err := range h.db.AuditRows(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{issued.Secret.Reveal(), issued.Secret.Fingerprint().String(), "correct horse", string(hash)} {
			if strings.Contains(row.Text, secret) {
				t.Errorf("audit row %d (%s) holds a secret", row.Number, row.Action)
			}
		}
	}
}
