package identity_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/identity"
	"github.com/latchkey/latchkey/controlplane/internal/users"
)

func TestWeakHashesAreMadeAnew(t *testing.T) {
	t.Parallel()
	h := build(t)
	salt := []byte("a salt of sixteen")[:16]
	encode := base64.RawStdEncoding.EncodeToString
	weak := users.PasswordHash(fmt.Sprintf("$argon2id$v=19$m=8192,t=1,p=1$%s$%s", encode(salt),
		encode(argon2.IDKey([]byte(password), salt, 1, 8192, 1, 32))))
	u := h.user(t, users.NewUser{Username: "ada", Password: weak})
	if !weak.Weak() {
		t.Fatal("the hash is not weak")
	}
	if r := h.signIn(t, "ada", "wrong password"); r.Outcome != identity.Refused {
		t.Error("a wrong password signs in")
	}
	if now, _ := h.db.Users().ByID(t.Context(), u.ID); now.PasswordHash != weak {
		t.Error("a wrong password made the hash anew")
	}
	first := h.signIn(t, "ada", password)
	now, err := h.db.Users().ByID(t.Context(), u.ID)
	if err != nil || now.PasswordHash.Weak() || now.Version != u.Version || !h.live(t, first.Token) {
		t.Errorf("weak %v, version %d, %v", now.PasswordHash.Weak(), now.Version, err)
	}
	if h.signIn(t, "ada", password).Outcome != identity.Accepted {
		t.Error("the stronger hash does not match")
	}
}

func TestByEmailAddress(t *testing.T) {
	t.Parallel()
	h := build(t)
	ada := h.user(t, users.NewUser{Username: "ada", Email: "Ada@example.com"})
	if r := h.signIn(t, " ADA@Example.com ", password); r.Outcome != identity.Accepted || r.UserID != ada.ID {
		t.Errorf("the address alone: %v", r.Outcome)
	}
	h.user(t, users.NewUser{Username: "eve", Email: "ada@example.com"})
	if r := h.signIn(t, "ada@example.com", password); r.Outcome != identity.Refused {
		t.Error("an address of two users signs one of them in")
	}
	named := h.user(t, users.NewUser{Username: "ada@example.com"})
	if r := h.signIn(t, "ada@example.com", password); r.UserID != named.ID {
		t.Error("a username does not go before an address")
	}
}

// The account's delays are waited for, before anything is hashed.
func TestGuessesFromManyNetworksWait(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.user(t, users.NewUser{Username: "ada"})
	for i := range 12 {
		if _, err := h.SignIn(t.Context(), identity.Attempt{Login: "ada", Password: "wrong password", From: origin(byte(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if got := time.Duration(h.waited.Load()); got != 750*time.Millisecond {
		t.Errorf("waited %v", got)
	}
	if r, err := h.SignIn(t.Context(), identity.Attempt{Login: "ada", Password: password, From: origin(99)}); err != nil || r.Outcome != identity.Accepted {
		t.Errorf("the right password: %v %v", r.Outcome, err)
	}
}

// A sign-in whose time is over is neither right nor wrong.
func TestUndecided(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.user(t, users.NewUser{Username: "ada"})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.SignIn(over, identity.Attempt{Login: "ada", Password: password, From: origin(1)}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if h.SignIns(identity.Undecided) != 1 || h.SignIns(identity.Refused) != 0 {
		t.Error("it was counted as something else")
	}
}

func TestTokensNeverPrint(t *testing.T) {
	t.Parallel()
	token, ok := identity.ParseToken(strings.Repeat("A", 43))
	if !ok || token.Reveal() != strings.Repeat("A", 43) {
		t.Fatal("a token does not come back")
	}
	if text := fmt.Sprintf("%v %+v %#v %s", token, identity.Result{Token: token}, token, token); strings.Contains(text, "AAAA") {
		t.Error(text)
	}
	for _, text := range []string{"", "A", strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("*", 43), strings.Repeat("A", 42) + "B"} {
		if _, ok := identity.ParseToken(text); ok {
			t.Errorf("%q is taken for a token", text)
		}
	}
}

// The rule about whose password one may set is held where it is written, too,
// whoever calls: the check before the hashing only saves work.
func TestNobodySetsThePasswordOfOneAbove(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := h.user(t, users.NewUser{Username: "ada", Role: access.Owner})
	writer := access.Caller{Actor: access.Actor{Kind: access.ActorKey}, Scopes: []access.Scope{access.UsersWrite}}
	if _, err := h.Users.SetPassword(t.Context(), writer, u.ID, users.NoPassword()); !fault.Is(err, fault.Forbidden) {
		t.Errorf("SetPassword: %v", err)
	}
	if _, err := h.Users.EndSessions(t.Context(), writer, u.ID); !fault.Is(err, fault.Forbidden) {
		t.Errorf("EndSessions: %v", err)
	}
	if _, err := h.Users.ChangePassword(t.Context(), writer, u.ID, u.PasswordHash, users.NoPassword()); !fault.Is(err, fault.Forbidden) {
		t.Errorf("ChangePassword: %v", err)
	}
	if h.signIn(t, "ada", password).Outcome != identity.Accepted {
		t.Error("the password is another")
	}
}
