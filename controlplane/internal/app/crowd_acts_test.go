package app_test

import (
	"fmt"
	"time"
)

// act does one thing at random.
func (w *member) act() {
	acts := []struct {
		weight int
		do     func()
	}{
		{14, w.issue}, {3, w.issueMany}, {10, w.patch}, {8, w.rotate}, {8, w.revoke}, {8, w.restore},
		{8, w.stop}, {2, w.remove}, {4, w.bulk}, {6, w.subscription}, {4, w.user}, {2, w.plan}, {30, w.ask}, {4, w.self},
	}
	sum := 0
	for _, a := range acts {
		sum += a.weight
	}
	n := w.random.IntN(sum)
	for _, a := range acts {
		if n -= a.weight; n < 0 {
			a.do()
			return
		}
	}
}

// newKey describes a key of some user.
func (w *member) newKey(name string) m {
	user := w.random.IntN(5)
	body := m{"name": name, "owner_id": w.users[user], "tags": []string{w.one("t0", "t1", "t2")}}
	switch {
	case user == 3:
		body["plan"] = "fixed"
	case w.chance(70):
		body["plan"] = w.one("free", "pro", "more")
	}
	if w.chance(40) {
		body["label"] = w.one("a", "b")
		body["idempotent"] = w.chance(50)
	}
	if w.chance(30) {
		body["rotate_every_days"], body["rotate_overlap_hours"] = 30, w.random.IntN(2)
	}
	return body
}

func (w *member) issue() {
	w.made++
	if w.chance(75) {
		if d := w.do("issue-key", "", w.newKey(fmt.Sprint("k", w.name, "-", w.made))); d.err == nil && d.a.status < 300 {
			w.hold(d.a.body)
		}
		return
	}
	// Several ask for the same at once, and now and then for something else.
	key := fmt.Sprint("once-", w.made/16) // members keep step, more or less
	body := m{"name": key, "owner_id": w.users[2]}
	if w.chance(10) {
		body["name"] = "another"
	}
	if d := w.do("issue-key", "", body, "Idempotency-Key", key); d.err == nil && d.a.status < 300 {
		w.hold(d.a.body)
	}
}

func (w *member) issueMany() {
	var all []m
	for i := range 1 + w.random.IntN(6) {
		all = append(all, w.newKey(fmt.Sprint("b", w.name, "-", w.made, "-", i)))
	}
	if w.chance(5) {
		for i := range 300 {
			all = append(all, m{"name": fmt.Sprint("many ", i), "owner_id": w.users[2], "tags": []string{"many"}})
		}
	}
	var headers []string
	if w.chance(20) {
		headers = []string{"Idempotency-Key", fmt.Sprint("batch-", w.name, "-", w.made)}
	}
	d := w.do("issue-keys", "", m{"keys": all}, headers...)
	if d.err != nil || d.a.status >= 300 {
		return
	}
	for _, issued := range d.a.get("keys").([]any) {
		w.hold(issued)
	}
}

func (w *member) patch() {
	k := w.key()
	if k.id == "" {
		return
	}
	body := m{"name": fmt.Sprint("p", w.name, "-", w.made)}
	switch w.random.IntN(6) {
	case 0:
		body["expires_at"] = time.Now().Add(-time.Hour).UTC()
	case 1, 2:
		body["expires_at"] = nil
	case 3:
		body["tags"] = []string{w.one("t0", "t1", "t2")}
	}
	if w.chance(50) {
		w.do("update-key", k.id, body)
		return
	}
	read := w.do("get-key", k.id, nil)
	if read.err == nil && read.a.status == 200 {
		w.do("update-key", k.id, body, "If-Match", read.a.header.Get("ETag"))
	}
}

func (w *member) rotate() {
	if d := w.do("rotate-key", w.key().id, m{"overlap_hours": w.random.IntN(2)}); d.err == nil && d.a.status < 300 {
		w.hold(d.a.body)
	}
}

func (w *member) self() {
	k := w.key()
	bearer := []string{"Authorization", "Bearer " + k.secret}
	if w.chance(30) {
		w.do("revoke-own-key", "", m{"only": w.chance(50)}, bearer...).target = k.id
		return
	}
	d := w.do("rotate-own-key", "", nil, bearer...)
	if d.target = k.id; d.err == nil && d.a.status < 300 {
		w.hold(d.a.body)
	}
}

func (w *member) revoke() { w.do("revoke-key", w.key().id, m{"only": w.chance(40)}) }

func (w *member) restore() { w.do("restore-key", w.key().id, nil) }

func (w *member) stop() { w.do(w.one("disable-key", "enable-key", "enable-key"), w.key().id, nil) }

func (w *member) remove() { w.do("delete-key", w.key().id, nil) }

func (w *member) bulk() {
	filters := []m{
		{"tag": w.one("t0", "t1", "t2"), "status": "active"}, {"owner_id": w.users[w.random.IntN(5)]},
		{"owner_id": w.users[w.random.IntN(5)], "status": "active"}, {"plan": w.one(slugs...), "tag": "t1"}, {"q": w.one("k1", "b2", "p0")},
		{"status": "disabled", "owner_id": w.users[w.random.IntN(5)]},
	}
	body := m{"filter": filters[w.random.IntN(len(filters))], "dry_run": w.chance(20)}
	switch body["action"] = w.one("revoke", "disable", "enable", "enable", "tag"); body["action"] {
	case "revoke":
		body["only"] = w.chance(30)
	case "tag":
		body["add_tags"], body["remove_tags"] = []string{w.one("t0", "t1")}, []string{"t2"}
	}
	w.do("act-on-keys", "", body)
}

func (w *member) subscription() {
	sub := w.sub()
	if w.chance(15) {
		d := w.do("create-subscription", "", m{"user_id": w.users[w.random.IntN(3)], "plan_id": w.plans[w.random.IntN(3)]})
		if d.err == nil && d.a.status == 201 {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.subscribed(d.a.text("id"))
		}
		return
	}
	switch w.random.IntN(12) {
	case 0:
		w.do("cancel-subscription", sub, m{"when": "now"})
	case 1, 2, 3:
		w.do("pause-subscription", sub, nil)
	case 4, 5, 6, 7:
		w.do("resume-subscription", sub, nil)
	default:
		read := w.do("get-subscription", sub, nil)
		if read.a.text("user_id") != w.users[3] {
			w.do("change-plan-of-subscription", sub, m{"plan_id": w.plans[w.random.IntN(3)]})
		}
	}
}

func (w *member) user() {
	user := w.random.IntN(5)
	body := m{"disabled": w.chance(35)}
	if user == 4 && w.chance(60) {
		body = m{"max_keys": 3 + w.random.IntN(bounds[4]-2)}
	}
	w.do("update-user", w.users[user], body)
}

func (w *member) plan() {
	body := m{"max_keys": 4 + w.random.IntN(9)}
	if w.chance(40) {
		body = m{"scopes": [][]string{{}, {"a"}, {"a", "b"}}[w.random.IntN(3)]}
	}
	w.do("update-plan", w.plans[w.random.IntN(3)], body)
}

// ask asks the door about a key, mostly several times.
func (w *member) ask() {
	for k := w.key(); ; {
		w.do("authenticate", "", m{"auth_key": k.secret}, "Authorization", "").target = k.id
		if w.chance(40) {
			return
		}
	}
}
