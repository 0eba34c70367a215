package app_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
)

// make makes a thing of a kind, named by the prefix of its ids, for an actor who
// may want it for its own.
func (s *stage) make(kind string, by *actor) string {
	s.made++
	switch kind {
	case "usr":
		return s.call(s.admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	case "pln":
		return s.call(s.admin, "POST", "/api/v1/plans", m{"slug": fmt.Sprintf("plan-%d", s.made), "name": "A plan"}, 201).text("id")
	case "lim":
		return s.call(s.admin, "POST", "/api/v1/limits", m{"name": fmt.Sprintf("limit-%d", s.made), "kind": "rate", "amount": 10, "window_seconds": 60}, 201).text("id")
	case "sub":
		return s.call(s.admin, "POST", "/api/v1/subscriptions", m{"user_id": s.make("usr", by), "plan_id": s.make("pln", by)}, 201).text("id")
	case "key":
		if by.userID != "" {
			return s.key("owner_id", by.userID).keyID
		}
		return s.key().keyID
	case "ses":
		id, b := by.userID, s.browser()
		if id == "" {
			id, _ = s.user(access.Member)
		}
		name := s.call(s.admin, "GET", "/api/v1/users/"+id, nil, 200).text("username")
		b.want(204, "POST", "/auth/v1/login/local", credentials(name, examplePassword))
		return b.want(200, "GET", "/api/v1/me", "").text("session", "id")
	}
	if kind == "gw" {
		return s.gateway(20 * time.Second)
	}
	s.t.Fatalf("tests cannot make a %s: add it to stage.make", kind)
	return ""
}

// gateway makes one that was last seen a while ago.
func (s *stage) gateway(ago time.Duration) string {
	s.t.Helper()
	g := gateways.Gateway{Instance: uuid.New(), Name: "kong", Budget: time.Hour}
	if err := s.app.DB.Gateways().Seen(s.t.Context(), g); err != nil {
		s.t.Fatal(err)
	}
	execute(s.t, s.app.DSN, "UPDATE gateways SET last_seen_at = last_seen_at - $1::interval WHERE instance = $2", ago, g.Instance)
	return g.ID().String()
}

// reopenSetup opens the set-up window, which has closed for good, once more, and
// returns its token.
func (s *stage) reopenSetup() string {
	s.t.Helper()
	execute(s.t, s.app.DSN, "UPDATE bootstrap SET closed_at = NULL")
	token, ok, err := s.app.Bootstrap.Token(s.t.Context())
	if err != nil || !ok {
		s.t.Fatal(ok, err)
	}
	return token.Reveal()
}
