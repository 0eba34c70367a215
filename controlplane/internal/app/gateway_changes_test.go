package app_test

import (
	"fmt"
	"sync"
	"testing"
)

// A revocation is refused by every gateway on every replica at the moment when
// its receipt is answered, whichever replica was asked.
func TestGatewaysRefuseWhatAReceiptSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, r := range []*replica{w.replica, w.other} {
		key, id := w.issue(nil)
		for _, g := range w.gateways {
			g.caches(key)
		}
		a := r.call(w.admin, "POST", "/api/v1/keys/"+id+"/revoke?wait=edges&timeout_ms=10000", m{"reason": "key_compromise"}, 200)
		for _, g := range w.gateways { // at once: the receipt is the proof
			g.expect(key, "REVOKED")
		}
		w.receipt(a)
		if a.text("key", "status") != "revoked" || a.get("receipt", "change").(float64) == 0 {
			t.Errorf("replica %d: %s", i, a.raw)
		}
		again := w.call(w.admin, "POST", "/api/v1/keys/"+id+"/revoke?wait=edges&timeout_ms=10000", nil, 200)
		if w.receipt(again); again.get("receipt", "change") != a.get("receipt", "change") {
			t.Errorf("a second revoke is another change: %s", again.raw)
		}
	}
}

// What an operator does to a user, a plan, a subscription or a key is seen at
// every gateway by keys that hang on it, and no other key is touched by it.
func TestGatewaysSeeEveryChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := w.call(w.admin, "POST", "/api/v1/users", m{"name": "Ada"}, 201).text("id")
	plan := w.call(w.admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro"}, 201).text("id")
	key, id := w.issue(m{"owner_id": user, "plan": "pro"})
	sub := w.call(w.admin, "GET", "/api/v1/keys/"+id, nil, 200).text("subscription_id")
	bystander, _ := w.issue(m{"plan": "pro"})
	for _, g := range w.gateways {
		g.caches(key, bystander)
	}
	patch := func(what, id string, change m) func(*replica) {
		return func(r *replica) { r.call(w.admin, "PATCH", "/api/v1/"+what+"/"+id, change, 200) }
	}
	act := func(action string) func(*replica) {
		return func(r *replica) { r.call(w.admin, "POST", "/api/v1/keys/"+id+"/"+action, nil, 200) }
	}
	for i, step := range []struct {
		name      string
		do        func(*replica)
		key, both string // the answers to the key, and to the one beside it
	}{
		{"the user is disabled", patch("users", user, m{"disabled": true}), "OWNER_DISABLED", "VALID"},
		{"and enabled", patch("users", user, m{"disabled": false}), "VALID", "VALID"},
		{"the plan's scopes are narrowed", patch("plans", plan, m{"scopes": []string{"invoices:*"}}), "INSUFFICIENT_SCOPE", "INSUFFICIENT_SCOPE"},
		{"and widened", patch("plans", plan, m{"scopes": []string{"invoices:*", "reports:*"}}), "VALID", "VALID"},
		{"the subscription is paused", patch("subscriptions", sub, m{"status": "paused"}), "PLAN_INACTIVE", "VALID"},
		{"and resumed", patch("subscriptions", sub, m{"status": "active"}), "VALID", "VALID"},
		{"the key is disabled", act("disable"), "DISABLED", "VALID"},
		{"and enabled", act("enable"), "VALID", "VALID"},
		{"it loses its scope", patch("keys", id, m{"scopes": []string{}}), "INSUFFICIENT_SCOPE", "VALID"},
		{"and has it back", patch("keys", id, m{"scopes": []string{"reports:read"}}), "VALID", "VALID"},
		{"it is revoked", act("revoke"), "REVOKED", "VALID"},
		{"and restored", act("restore"), "VALID", "VALID"},
	} {
		step.do([]*replica{w.replica, w.other}[i%2])
		for _, g := range w.gateways {
			eventually(t, fmt.Sprintf("%s: %s answers %s", step.name, g.name, step.key), func() bool { return code(g.ask(key)) == step.key })
			eventually(t, fmt.Sprintf("%s: %s answers %s beside it", step.name, g.name, step.both), func() bool { return code(g.ask(bystander)) == step.both })
		}
	}
}

// Every change is told once and in order to every gateway, while both replicas
// write at the same time; and what was said last holds.
func TestGatewaysAreToldOnceAndInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const keys, rounds = 6, 8
	var secrets, ids [keys]string
	for i := range keys {
		secrets[i], ids[i] = w.issue(nil)
	}
	last, lastID := w.issue(nil)
	var before []float64
	for _, g := range w.gateways {
		g.caches(append(secrets[:], last)...)
		before = append(before, g.changes())
	}
	var writers sync.WaitGroup
	for i := range keys {
		r := []*replica{w.replica, w.other}[i%2]
		writers.Go(func() {
			for n := range rounds {
				action := []string{"disable", "enable"}[n%2]
				a, err := r.try("POST", "/api/v1/keys/"+ids[i]+"/"+action, "", "Authorization", "Bearer "+w.admin)
				if err != nil || a.status != 200 {
					t.Errorf("%s: %v %s", action, err, a.raw)
				}
			}
		})
	}
	writers.Wait()
	for i := range keys / 2 { // those end disabled, the others enabled
		w.act(ids[i], "disable")
	}
	w.receipt(w.act(lastID, "revoke?wait=edges&timeout_ms=10000"))
	const want = keys*rounds + keys/2 + 1
	for i, g := range w.gateways {
		if n := g.changes() - before[i]; n != want || g.outOfOrder() != 0 || g.resets() != 1 {
			t.Errorf("%s was told %v changes of %d, %v times out of order, %v resets", g.name, n, want, g.outOfOrder(), g.resets())
		}
		for i, secret := range secrets {
			if i < keys/2 {
				g.expect(secret, "DISABLED")
			} else {
				// Enabling takes nothing away: the old record may answer once more.
				g.becomes(secret, "VALID")
			}
		}
		g.expect(last, "REVOKED")
	}
}
