package app_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// The key tells of its use at a gateway, from the client's address, which is
// asked for once; and of the last one before the gateway ended.
func TestLastUseAtAGateway(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	g := gatewayOf(t, "gateway", f.token, []string{f.url})
	secret, key := f.issue(m{"scopes": []string{"reports:read", "reports:write"}})
	refusing := g.Route(m{"scopes": []string{"admin"}})
	request := kongtest.Request{Headers: shows("X-API-Key", secret), ClientIP: "203.0.113.9"}
	begin := time.Now()
	eventually(t, "the record is cached", func() bool { return code(g.send(refusing, request)) == "INSUFFICIENT_SCOPE" })

	calls := func() int {
		out := g.send(g.open, request)
		if !out.Allowed {
			t.Fatalf("refused: %s", out.Body)
		}
		return len(out.Calls)
	}
	if diff := cmp.Diff([]int{3, 2, 2}, []int{calls(), calls(), calls()}); diff != "" {
		t.Errorf("calls for the first admitted requests: %s", diff)
	}
	if from := f.isUsed(f.admin, key, begin); from != "203.0.113.9" {
		t.Errorf("used from %q", from)
	}
	first, _ := f.lastUse(f.admin, key)
	eventually(t, "the next second has begun", func() bool { return time.Since(first) > time.Second })
	if f.isUsed(f.admin, f.keyID(f.token), time.Time{}) == "" {
		t.Error("the gateway's own key was never used")
	}
	calls()
	g.ends() // it tells the replica, which has told of this key a moment ago
	f.stop()
	if at, from := start(t, f.dsn).lastUse(f.admin, key); !at.After(first) || from != "203.0.113.9" {
		t.Errorf("last used at %v from %q, and it was after %v", at, from, first)
	}
}

// keyID finds a key by its secret.
func (f *front) keyID(secret string) string {
	f.t.Helper()
	return f.call(f.admin, "POST", "/api/v1/keys/lookup", m{"auth_key": secret}, 200).text("id")
}
