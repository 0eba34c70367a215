package app_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// PostgreSQL is killed and comes back: cached keys answer, unknown ones are
// undecided, nothing is allowed that should not be, and all of it mends itself.
func TestDatabaseKilledAndBack(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	r := start(t, server.DSN())
	admin := r.admin()
	cached := r.call(admin, "POST", "/api/v1/keys", m{"name": "cached"}, 201).text("secret")
	cold := r.call(admin, "POST", "/api/v1/keys", m{"name": "cold"}, 201)
	r.expect(r.auth(cached), 200, "VALID")
	eventually(t, "the feed is heard", func() bool { return strings.Contains(metrics(t, r), "latchkey_validator_feed_age_seconds") })

	server.Kill()
	for range 50 {
		r.expect(r.auth(cached), 200, "VALID")
	}
	unknown := r.auth(cold.text("secret"))
	r.expect(unknown, 503, "UNDECIDED")
	if unknown.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	if a := r.send("POST", "/api/v1/keys", `{"name":"k"}`, "Authorization", "Bearer "+admin); a.status != 503 || a.code() != "UNAVAILABLE" {
		t.Errorf("issuing without a database: %d %s", a.status, a.raw)
	}
	if a := r.send("GET", "/readyz", ""); a.status != 200 {
		t.Errorf("the replica left the pool: %d", a.status)
	}
	server.Start()
	eventually(t, "the cold key is found", func() bool { return r.auth(cold.text("secret")).code() == "VALID" })
	eventually(t, "a key is revoked", func() bool {
		a, err := r.try("POST", "/api/v1/keys/"+cold.text("key", "id")+"/revoke", "", "Authorization", "Bearer "+admin)
		return err == nil && a.status == 200
	})
	// The feed is whole again: the refusal needs no look-up by age.
	eventually(t, "the revoke is told", func() bool { return r.auth(cold.text("secret")).code() == "REVOKED" })
	r.expect(r.auth(cached), 200, "VALID")
}

// Killed in the middle of 1,000 issues at once: every key that was answered
// exists afterwards, and the audit chain holds.
func TestKilledWhileIssuing(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	r := start(t, server.DSN())
	admin := r.admin()

	var mu sync.Mutex
	var answered []string
	killed := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 1000 {
		clients.Go(func() {
			a, err := r.try("POST", "/api/v1/keys", fmt.Sprintf(`{"name":"k%d"}`, i), "Authorization", "Bearer "+admin)
			if err != nil || a.status != 201 {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if answered = append(answered, a.text("secret")); len(answered) == 20 {
				close(killed)
			}
		})
	}
	select {
	case <-killed:
	case <-time.After(2 * time.Minute):
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("only %d keys were issued within two minutes", len(answered))
	}
	server.Kill()
	clients.Wait()
	server.Start()
	if len(answered) == 1000 {
		t.Fatal("the kill came too late: the test proves nothing")
	}
	for _, key := range answered {
		eventually(t, "the key is found", func() bool { return r.auth(key).code() != "UNDECIDED" })
		r.expect(r.auth(key), 200, "VALID")
	}
	head, err := r.app.DB.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.app.Chain.Verify(t.Context(), r.app.DB.AuditRows(t.Context()), head)
	if err != nil || report.Broken != 0 {
		t.Errorf("the audit chain: %+v %v", report, err)
	}
	if report.Rows < int64(len(answered)) {
		t.Errorf("%d audit rows for %d keys", report.Rows, len(answered))
	}
}
