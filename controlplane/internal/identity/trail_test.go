package identity_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

// events are those about a user, or all, the newest first.
func (h *house) events(t *testing.T, user id.User) []journal.Event {
	t.Helper()
	q := journal.Query{Limit: 200}
	if !user.IsZero() {
		q.TargetID = user.String()
	}
	all, err := h.db.Audit().Events(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// actions are those of all events, in their order.
func (h *house) actions(t *testing.T) (all []string) {
	t.Helper()
	for _, e := range slices.Backward(h.events(t, id.User{})) {
		all = append(all, e.Action)
	}
	return all
}

// What begins, renews or ends a session leaves one event, about the user and by
// the user, and no change that a cache would hear of.
func TestSessionsLeaveATrail(t *testing.T) {
	t.Parallel()
	h := build(t)
	ada := h.user(t, users.NewUser{Username: "ada"})
	from := origin(7)
	from.RequestID = "REQUEST"
	signIn := func(replaces identity.Token) identity.Result {
		r, err := h.SignIn(t.Context(), identity.Attempt{Login: "ada", Password: password, From: from, Replaces: replaces})
		if err != nil || r.Outcome != identity.Accepted {
			t.Fatal(r.Outcome, err)
		}
		return r
	}
	name := func(r identity.Result) string { return fmt.Sprintf(`{"session":%q}`, r.Current.Session.ID) }
	until := func(r identity.Result, at time.Time) string {
		return fmt.Sprintf(`{"session":%q,"expires_at":%q}`, r.Current.Session.ID, at.Format(time.RFC3339Nano))
	}
	began := *h.now.Load()
	end := began.Add(identity.Usual.Idle)

	one, two := signIn(identity.Token{}), signIn(identity.Token{})
	three := signIn(one.Token)
	h.move(time.Hour)
	renewed, current, ok, err := h.Refresh(t.Context(), two.Token, from)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	four := signIn(identity.Token{})
	for _, err := range []error{
		h.EndOwn(t.Context(), current, from, four.Current.Session.ID),
		h.EndOthers(t.Context(), current, from),
		h.EndOthers(t.Context(), current, from), // there are no others
		h.SignOut(t.Context(), two.Token, from), // which is nothing since the refresh
		h.SignOut(t.Context(), identity.Token{}, from),
		h.SignOut(t.Context(), renewed, from),
		h.SignOut(t.Context(), renewed, from), // which is over
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"user.sign_in <nil> " + until(one, end),
		"user.sign_in <nil> " + until(two, end),
		"user.sign_in <nil> " + until(three, end),
		"user.sign_out " + name(one) + " <nil>",
		"user.refresh_session " + until(two, end) + " " + until(two, end.Add(time.Hour)),
		"user.sign_in <nil> " + until(four, end.Add(time.Hour)),
		"user.end_session " + name(four) + " <nil>",
		fmt.Sprintf("user.end_sessions {\"sessions\":[%q]} <nil>", three.Current.Session.ID),
		"user.sign_out " + name(two) + " <nil>",
	}
	var got []string
	orNil := func(b []byte) string {
		if b == nil {
			return "<nil>"
		}
		return string(b)
	}
	for _, e := range slices.Backward(h.events(t, ada.ID)) {
		if e.Action == "user.create" {
			continue
		}
		got = append(got, e.Action+" "+orNil(e.Before)+" "+orNil(e.After))
		if e.Actor != (access.Actor{Kind: access.ActorUser, ID: ada.ID.String(), Name: "Ada"}) ||
			e.Target != (journal.Target{Kind: "user", ID: ada.ID.String(), Name: "Ada"}) || e.Address != "192.0.2.7" || e.RequestID != "REQUEST" {
			t.Errorf("%s: %+v", e.Action, e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if page, err := h.db.ChangesAfter(t.Context(), 0); err != nil || len(page.Changes) > 0 {
		t.Errorf("the caches hear of %v, %v", page.Changes, err)
	}
}

// What changes nothing leaves nothing: attempts that fail, ends that came by the
// clock, and what is done to a session after them.
func TestWhatChangesNothingLeavesNoTrail(t *testing.T) {
	t.Parallel()
	h := build(t)
	ada := h.user(t, users.NewUser{Username: "ada"})
	first := h.signIn(t, "ada", password)
	h.move(time.Minute)
	second := h.signIn(t, "ada", password)
	before := len(h.events(t, id.User{}))
	h.signIn(t, "ada", "wrong password")
	h.signIn(t, "nobody", password)
	h.move(identity.Usual.Idle - time.Minute) // the end of the first
	if err := h.SignOut(t.Context(), first.Token, origin(1)); err != nil {
		t.Error(err)
	}
	if _, _, ok, err := h.Refresh(t.Context(), first.Token, origin(1)); ok || err != nil {
		t.Error(ok, err)
	}
	if err := h.EndOwn(t.Context(), second.Current, origin(1), first.Current.Session.ID); err == nil {
		t.Error("a session that was over was ended")
	}
	if err := h.EndOthers(t.Context(), second.Current, origin(1)); err != nil {
		t.Error(err)
	}
	if after := h.events(t, id.User{}); len(after) != before {
		t.Errorf("%s was left behind", after[0].Action)
	}
	// A refresh of a session that ended while it was being refreshed.
	h.meanwhile = func() {
		if _, err := h.Users.EndSessions(t.Context(), access.CLI("test"), ada.ID); err != nil {
			t.Error(err)
		}
	}
	if _, _, ok, err := h.Refresh(t.Context(), second.Token, origin(1)); ok || err != nil {
		t.Errorf("a session that was ended meanwhile is refreshed: %v %v", ok, err)
	}
	if got := h.actions(t); got[len(got)-1] != "user.end_sessions" {
		t.Errorf("after it was ended: %v", got)
	}
}
