package postgres_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/meter"
)

// used is a use of a key from an address, "" where it is not known.
func used(k keys.Key, at time.Time, from string) meter.Use {
	u := meter.Use{KeyID: k.ID.String(), At: at}
	if from != "" {
		u.IP = netip.MustParseAddr(from)
	}
	return u
}

// note notes uses, and fails the test unless all are taken.
func (h *house) note(t *testing.T, uses ...meter.Use) {
	t.Helper()
	if left := must[[]meter.Use](t)(h.keys.NoteUses(t.Context(), uses)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestLastUses(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx := t.Context()
	k := h.issue(t, "k").Key
	head := must[journal.Head](t)(h.db.Head(ctx))
	at := func(minutes int) time.Time { return k.CreatedAt.Add(time.Duration(minutes) * time.Minute) }
	for _, step := range []struct {
		name string
		use  meter.Use
		at   time.Time
		from string
	}{
		{"before it was made", used(k, at(-60), "192.0.2.1"), at(0), "192.0.2.1"},
		{"the first", used(k, at(1), "192.0.2.2"), at(1), "192.0.2.2"},
		{"of IPv6", used(k, at(2), "2001:db8::1"), at(2), "2001:db8::1"},
		{"of an interface here", used(k, at(3), "fe80::1%eth0"), at(3), "fe80::1"},
		{"of IPv4 in IPv6", used(k, at(4), "::ffff:192.0.2.3"), at(4), "192.0.2.3"},
		{"back in time", used(k, at(3), "192.0.2.4"), at(4), "192.0.2.3"},
		{"at the same time", used(k, at(4), "192.0.2.4"), at(4), "192.0.2.3"},
		{"of nobody knows where", used(k, at(5), ""), at(5), ""},
	} {
		h.note(t, step.use)
		got := must[keys.Key](t)(h.db.Keys().ByID(ctx, k.ID))
		from := ""
		if got.LastUsedIP.IsValid() {
			from = got.LastUsedIP.String()
		}
		if got.LastUsedAt == nil || !got.LastUsedAt.Equal(step.at) || from != step.from {
			t.Errorf("%s: %v from %q, want %v from %q", step.name, got.LastUsedAt, from, step.at, step.from)
		}
		if got.Version != k.Version || !got.UpdatedAt.Equal(k.UpdatedAt) {
			t.Errorf("%s changes the key: version %d, %v", step.name, got.Version, got.UpdatedAt)
		}
	}
	if now := must[journal.Head](t)(h.db.Head(ctx)); now.Number != head.Number {
		t.Errorf("uses are in the journal: %d, then %d", head.Number, now.Number)
	}
	h.note(t)
}

// Together they count for those that are there, whatever else is told.
func TestUsesOfKeysThatAreNotThere(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx := t.Context()
	gone, k := h.issue(t, "gone").Key, h.issue(t, "k").Key
	if err := h.keys.Delete(ctx, root(), gone.ID); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	h.note(t, used(gone, now, "192.0.2.1"), used(keys.Key{ID: id.New[id.KeyKind]()}, now, ""), meter.Use{KeyID: "no id", At: now},
		used(k, now, "192.0.2.1"), used(k, now.Add(time.Second), "192.0.2.1"))
	if got := must[keys.Key](t)(h.db.Keys().ByID(ctx, k.ID)); got.LastUsedAt == nil || !got.LastUsedAt.Equal(now) {
		t.Errorf("%v", got.LastUsedAt)
	}
}

// A key that is being changed is left for the next time; the change, which has
// read the key before, does not undo what is noted.
func TestUsesAndChangesDoNotMeet(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	ctx := t.Context()
	busy, idle := h.issue(t, "busy").Key, h.issue(t, "idle").Key
	now := time.Now().UTC().Truncate(time.Microsecond)
	uses := []meter.Use{used(busy, now, "192.0.2.1"), used(idle, now, "192.0.2.2")}
	_, err := h.db.Keys().Edit(ctx, keys.Selection{IDs: []id.Key{busy.ID}}, func(k *keys.Key) (*journal.Entry, error) {
		left := must[[]meter.Use](t)(h.keys.NoteUses(ctx, uses))
		if diff := cmp.Diff(uses[:1], left, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("left: %s", diff)
		}
		k.Name = "busier"
		return &journal.Entry{Caller: root(), At: now, Action: "key.update", Target: journal.Target{Kind: "key"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.note(t, uses...)
	must[keys.Key](t)(h.keys.Disable(ctx, root(), busy.ID))
	must[keys.Key](t)(h.keys.Enable(ctx, root(), busy.ID))
	next := must[keys.Issued](t)(h.keys.Rotate(ctx, root(), busy.ID, nil)).Key
	for name, want := range map[id.Key]bool{busy.ID: true, idle.ID: true, next.ID: false} {
		if got := must[keys.Key](t)(h.db.Keys().ByID(ctx, name)); (got.LastUsedAt != nil) != want || got.LastUsedIP.IsValid() != want {
			t.Errorf("%s: %v from %v", got.Name, got.LastUsedAt, got.LastUsedIP)
		}
	}
	verifyChain(t, h.db)
}

// Uses that come together from everywhere wait for nobody, and the latest stays.
func TestUsesFromEverywhere(t *testing.T) {
	t.Parallel()
	h := furnish(t, pgtest.DSN(t))
	var all []keys.Key
	for range 20 {
		all = append(all, h.issue(t, "k").Key)
	}
	start, done := all[len(all)-1].CreatedAt.Add(time.Hour), make(chan error)
	const replicas, rounds = 4, 30
	for r := range replicas {
		go func() {
			var err error
			for n := range rounds {
				var uses []meter.Use
				for _, k := range all {
					uses = append(uses, used(k, start.Add(time.Duration(n*replicas+r)*time.Second), "192.0.2.1"))
				}
				for len(uses) > 0 && err == nil {
					uses, err = h.keys.NoteUses(t.Context(), uses)
				}
			}
			done <- err
		}()
	}
	for range replicas {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, k := range all {
		got := must[keys.Key](t)(h.db.Keys().ByID(t.Context(), k.ID))
		if want := start.Add((replicas*rounds - 1) * time.Second); got.LastUsedAt == nil || !got.LastUsedAt.Equal(want) {
			t.Errorf("%v, want %v", got.LastUsedAt, want)
		}
	}
}
