package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

// everyState makes a key of every combination of what its status depends on,
// stamped as of now.
func everyState(t *testing.T, h *house, now time.Time) []keys.Key {
	t.Helper()
	past, soon := now.Add(-time.Hour), now.Add(time.Hour)
	times := []*time.Time{nil, &past, &soon}
	in := keys.Insertion{At: now, Entries: []journal.Entry{{Caller: root(), At: now, Action: "key.issue", Target: journal.Target{Kind: "key"}}}}
	for i := range 3 * 3 * 3 * 3 * 2 * 2 {
		digit := func(base int) (d int) { d, i = i%base, i/base; return d }
		secret := apikey.NewSecret("lk", apikey.KindAPI, apikey.Live)
		k := keys.Key{
			ID: id.New[id.KeyKind](), Environment: apikey.Live, OwnerID: users.DefaultID, Name: fmt.Sprint("state ", i), Metadata: []byte("{}"),
			Start: secret.Start(), Last4: secret.Last4(), Scopes: []string{}, Tags: []string{}, AllowMethods: []string{}, AllowPaths: []string{},
			CreatedAt: now, UpdatedAt: now, Version: 1,
		}
		k.RetiresAt, k.ExpiresAt, k.NotBefore, k.RotateBy = times[digit(3)], times[digit(3)], times[digit(3)], times[digit(3)]
		if k.RotateBy != nil {
			k.RotateEveryDays, k.RotateOverlapHours = 1, 2
		}
		if digit(2) == 1 {
			k.DisabledAt = &past
		}
		if digit(2) == 1 {
			k.RevokedAt, k.RevokeReason = &past, keys.Superseded
		}
		in.Keys = append(in.Keys, keys.Sealed{Key: k, Digest: h.peppers.Digest(secret.Fingerprint())})
	}
	if err := h.db.Keys().Insert(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	all := make([]keys.Key, len(in.Keys))
	for i, s := range in.Keys {
		all[i] = s.Key
	}
	return all
}

// At every moment a list by status holds what Status says, however long ago the
// stamps were made; in one range and plainly alike, and cut off at an expiry.
func TestListsBySQLSayWhatStatusSays(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	all := everyState(t, h, now)
	before, after := now.Add(-time.Minute), now.Add(90*time.Minute)
	check := func(when string, at time.Time) {
		t.Helper()
		for _, status := range append(keys.Statuses, "") {
			for name, f := range map[string]keys.Filter{
				"of everybody": {}, "of an owner": {OwnerID: users.DefaultID}, "plainly": {Search: "state"}, "by name": {SortBy: keys.ByName},
				"over before": {ExpiresBefore: &before}, "over before, by name": {ExpiresBefore: &before, SortBy: keys.ByName},
				"of an owner, over before": {OwnerID: users.DefaultID, ExpiresBefore: &before},
				"of an owner, over after":  {OwnerID: users.DefaultID, ExpiresBefore: &after, SortBy: keys.ByExpiry},
				"live, over after":         {Environment: apikey.Live, ExpiresBefore: &after, SortBy: keys.ByName},
			} {
				f.Status, f.At, f.Limit = status, at, keys.MaxBatch
				if f.SortBy == "" {
					f.SortBy = keys.ByCreation
				}
				var want, got []string
				for i := range all {
					over := f.ExpiresBefore == nil || all[i].ExpiresAt != nil && all[i].ExpiresAt.Before(*f.ExpiresBefore)
					if over && (status == "" || all[i].Status(at) == status) {
						want = append(want, all[i].ID.String())
					}
				}
				for _, k := range must[[]keys.Key](t)(h.db.Keys().List(ctx, f)) {
					got = append(got, k.ID.String())
				}
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("%s, %q %s: %d keys, want %d", when, status, name, len(got), len(want))
				}
				if n := must[int](t)(h.db.Keys().Count(ctx, f)); n != len(want) {
					t.Errorf("%s, %q %s: counted %d, want %d", when, status, name, n, len(want))
				}
			}
		}
	}
	for _, after := range []time.Duration{0, 59 * time.Minute, time.Hour, 2*time.Hour - 1000, 4 * time.Hour} {
		at := now.Add(after)
		check(fmt.Sprint("after ", after), at)
		if after > 0 {
			n := must[int](t)(h.db.Keys().Restamp(ctx, at, 50))
			check(fmt.Sprint(n, " stamped after ", after), at)
			for must[int](t)(h.db.Keys().Restamp(ctx, at, 50)) > 0 {
			}
			check(fmt.Sprint("all stamped after ", after), at)
		}
	}
}

// What was deleted is gone after its time, with an entry; and Idempotency-Keys.
func TestSweep(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx := t.Context()
	now := time.Now()
	later := keys.New(keys.Config{Store: h.db.Keys(), Digest: h.peppers, Prefix: "lk", Now: func() time.Time { return now }})
	gone, kept := h.issue(t, "gone"), h.issue(t, "kept")
	once := keys.NewKey{Name: "once"}
	first := must[keys.Issued](t)(h.keys.IssueOnce(ctx, root(), once, "k"))
	if err := h.keys.Delete(ctx, root(), gone.Key.ID); err != nil {
		t.Fatal(err)
	}
	for _, days := range []int{1, 29, 31} {
		now = time.Now().Add(time.Duration(days) * 24 * time.Hour)
		if err := later.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if _, found := h.lookup(t, gone.Secret); found != (days < 30) {
			t.Errorf("after %d days the deleted key is there: %v", days, found)
		}
	}
	if again := must[keys.Issued](t)(h.keys.IssueOnce(ctx, root(), once, "k")); again.Already || again.Key.ID == first.Key.ID {
		t.Error("an Idempotency-Key was kept for longer than a day")
	}
	if _, found := h.lookup(t, kept.Secret); !found {
		t.Error("a key that was not deleted is gone")
	}
	verifyChain(t, h.db)
}

// keysAt is the service of keys by another clock.
func (h *house) keysAt(now func() time.Time) *keys.Service {
	return keys.New(keys.Config{
		Store: h.db.Keys(), Facts: keys.Facts{Owners: h.db.Users(), Plans: h.db.Plans(), Subscriptions: h.db.Subscriptions()},
		Digest: h.peppers, Prefix: "lk", Now: now,
	})
}

// A restore is usually possible for seven days.
func TestRestoreWindow(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx := t.Context()
	now := time.Now()
	at := h.keysAt(func() time.Time { return now })
	k := h.issue(t, "k").Key.ID
	must[keys.Key](t)(at.Revoke(ctx, root(), k, keys.Superseded))
	now = now.Add(7*24*time.Hour - time.Second)
	must[keys.Key](t)(at.Restore(ctx, root(), k))
	must[keys.Key](t)(at.Revoke(ctx, root(), k, keys.Superseded))
	now = now.Add(7 * 24 * time.Hour)
	if _, err := at.Restore(ctx, root(), k); !fault.Is(err, fault.Conflict) {
		t.Errorf("after seven days: %v", err)
	}
}

// A key whose holder does not rotate it lapses by its overlap after the
// deadline, for the look-up too; one that was rotated goes by its retirement.
func TestALateRotationLapses(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx, now := t.Context(), time.Now()
	issued := must[keys.Issued](t)(h.keys.Issue(ctx, root(), keys.NewKey{Name: "k", RotateEveryDays: 2, RotateOverlapHours: new(3)}))
	judge := func(s apikey.Secret, at time.Time) apikey.Code {
		r, _ := h.lookup(t, s)
		return apikey.Decide(apikey.InstantOf(at), &r, &apikey.Request{})
	}
	lapse := now.Add(51 * time.Hour)
	for at, want := range map[time.Time]apikey.Code{now.Add(time.Minute): apikey.Valid, lapse.Add(-time.Minute): apikey.Valid, lapse.Add(time.Minute): apikey.Expired} {
		if got := judge(issued.Secret, at); got != want {
			t.Errorf("at %v: %s, want %s", at.Sub(now), got, want)
		}
	}
	next := must[keys.Issued](t)(h.keys.Rotate(ctx, root(), issued.Key.ID, new(100)))
	for at, want := range map[time.Duration]apikey.Code{99 * time.Hour: apikey.Valid, 101 * time.Hour: apikey.Retired} {
		if got := judge(issued.Secret, now.Add(at)); got != want {
			t.Errorf("the rotated key after %v: %s, want %s", at, got, want)
		}
	}
	if got := judge(next.Secret, now.Add(52*time.Hour)); got != apikey.Expired {
		t.Errorf("the successor past its own deadline: %s", got)
	}
}

// Nobody can rotate a key that is not good yet, so its first deadline counts from
// where it begins, however that is moved; a key that has begun keeps its deadline.
func TestADeadlineCountsFromWhereTheKeyBegins(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx, began := t.Context(), clock.Stored(time.Now())
	begins := func(days int) *time.Time { return new(began.AddDate(0, 0, days)) }
	now := began
	service := h.keysAt(func() time.Time { return now })
	check := func(what string, k keys.Key, days int, status keys.Status) {
		t.Helper()
		if want := began.AddDate(0, 0, days); k.RotateBy == nil || !k.RotateBy.Equal(want) || k.Status(now) != status {
			t.Errorf("%s: %s, to be rotated by %v, not %s by %v", what, k.Status(now), k.RotateBy, status, want)
		}
	}
	edit := func(key id.Key, p keys.Patch) keys.Key { return must[keys.Key](t)(service.Update(ctx, root(), key, p)) }
	from := func(at *time.Time) keys.Patch { return keys.Patch{NotBefore: field.To(at)} }

	k := must[keys.Issued](t)(service.Issue(ctx, root(), keys.NewKey{Name: "k", NotBefore: begins(10), RotateEveryDays: 2, RotateOverlapHours: new(0)})).Key
	check("issued", k, 12, keys.StatusNotYetValid)
	now = began.AddDate(0, 0, 5)
	check("five days later", k, 12, keys.StatusNotYetValid)
	check("put off", edit(k.ID, from(begins(20))), 22, keys.StatusNotYetValid)
	check("renamed", edit(k.ID, keys.Patch{Name: field.To("other")}), 22, keys.StatusNotYetValid)
	check("rotated more often", edit(k.ID, keys.Patch{RotateEveryDays: field.To(1)}), 21, keys.StatusNotYetValid)
	next := must[keys.Issued](t)(service.Rotate(ctx, root(), k.ID, new(0))).Key
	check("rotated", next, 21, keys.StatusNotYetValid)
	check("begun now", edit(next.ID, from(nil)), 6, keys.StatusActive)
	now = now.Add(time.Hour)
	check("what it has of its past does not matter", edit(next.ID, from(begins(1))), 6, keys.StatusActive)

	now = began.AddDate(0, 0, 7)
	check("lapsed", must[keys.Key](t)(service.ByID(ctx, root(), next.ID)), 6, keys.StatusExpired)
	check("put off when it had lapsed", edit(next.ID, from(begins(9))), 10, keys.StatusNotYetValid)

	last := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	_, err := service.Issue(ctx, root(), keys.NewKey{Name: "k", NotBefore: &last, RotateEveryDays: 1})
	if _, edited := service.Update(ctx, root(), next.ID, from(&last)); !fault.Is(err, fault.Invalid) || !fault.Is(edited, fault.Invalid) {
		t.Errorf("a deadline that nobody can write: %v, %v", err, edited)
	}
}
