package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// expected is how many events a request leaves by its operation, at least and at
// most, and of which action.
var expected = map[string]struct {
	actions     []string
	least, most int
}{
	"create-plan": {[]string{"plan.create"}, 1, 1}, "create-user": {[]string{"user.create"}, 1, 1},
	"update-key": {[]string{"key.update"}, 1, 1}, "rotate-key": {[]string{"key.rotate", "key.issue"}, 2, 2}, "rotate-own-key": {[]string{"key.rotate", "key.issue"}, 2, 2},
	"revoke-key": {[]string{"key.revoke"}, 0, 1000}, "revoke-own-key": {[]string{"key.revoke"}, 0, 1000}, "restore-key": {[]string{"key.restore"}, 0, 1000},
	"disable-key": {[]string{"key.disable"}, 0, 1}, "enable-key": {[]string{"key.enable"}, 0, 1}, "delete-key": {[]string{"key.delete"}, 1, 1},
	"act-on-keys": {[]string{"key.revoke", "key.disable", "key.enable", "key.tag"}, 0, 10000},
	"issue-key":   {[]string{"key.issue", "subscription.create"}, 0, 2}, "issue-keys": {[]string{"key.issue", "subscription.create"}, 0, 2000},
	"create-subscription": {[]string{"subscription.create"}, 1, 1}, "pause-subscription": {[]string{"subscription.pause"}, 0, 1},
	"resume-subscription": {[]string{"subscription.resume"}, 0, 1}, "cancel-subscription": {[]string{"subscription.cancel"}, 0, 1},
	"change-plan-of-subscription": {[]string{"subscription.change_plan"}, 0, 1},
	"update-user":                 {[]string{"user.update"}, 0, 1}, "update-plan": {[]string{"plan.update"}, 0, 1},
}

// answered holds every answer against the log and the document.
func (x *model) answered() {
	once := map[string]string{}
	for _, d := range x.deeds {
		left := x.byDeed[d.id]
		fail := func(format string, args ...any) {
			x.t.Errorf("%s %s %s %v: %d: %s\n%.300s", d.id, d.op, d.target, d.body, d.a.status, fmt.Sprintf(format, args...), d.a.raw)
		}
		want := expected[d.op]
		issued := 0
		for _, e := range left {
			if !slices.Contains(want.actions, e.Action) {
				fail("it left %s", e.Action)
			}
			if e.Action == "key.issue" {
				issued++
			}
		}
		if d.err != nil {
			if len(left) != 0 && !whole(d, len(left), issued) {
				fail("it was cut off, and left %d events", len(left))
			}
			continue
		}
		switch {
		case d.a.status >= 500:
			fail("a fault of ours: %s", x.logged(d))
		case d.a.status >= 400 && len(left) > 0:
			fail("it was refused, and left %d events", len(left))
		case d.a.status < 300 && (len(left) < want.least || len(left) > want.most):
			fail("it left %d events", len(left))
		}
		if err := x.doc.describes(x.ops[d.op], d.a); err != nil {
			fail("%v", err)
		}
		if d.a.status >= 300 {
			continue
		}
		switch d.op {
		case "issue-key", "rotate-key", "rotate-own-key":
			if (issued == 1) != (d.a.status == 201) || (issued == 1) != (d.a.text("secret") != "") {
				fail("%d keys were issued", issued)
			}
			if d.key != "" {
				if made := once[d.key]; made != "" && made != d.a.text("key", "id") {
					fail("the Idempotency-Key made %s, too", made)
				}
				once[d.key] = d.a.text("key", "id")
			}
		case "issue-keys":
			if secrets := strings.Count(d.a.raw, `"secret"`); issued != secrets {
				fail("%d keys were issued, and %d secrets answered", issued, secrets)
			}
		case "act-on-keys":
			if changed := d.a.get("changed"); changed != float64(len(left)) {
				fail("changed %v and left %d events", changed, len(left))
			}
		}
	}
}

// doors holds every verdict against what was true of the key while it was asked
// for.
func (x *model) doors() (asked int) {
	for _, d := range x.deeds {
		if d.op != "authenticate" || d.err != nil || d.target == "" {
			continue
		}
		asked++
		from, codes := 0, []string{}
		all := x.verdicts[d.target]
		for i, v := range all {
			if v.event.by != nil && v.event.by.err == nil && v.event.by.end.Before(d.start) {
				from = i
			}
		}
		for i, v := range all {
			if i < from {
				continue
			}
			if v.event.by == nil || v.event.by.start.Before(d.end) {
				codes = append(codes, v.code)
			}
		}
		if !slices.Contains(codes, d.a.code()) {
			why := ""
			for i, v := range all {
				if i >= from-1 && i <= from+3 {
					why += fmt.Sprintf("\n  %d %s %s by %s, answered %v before this began", v.event.Number, v.event.Action, v.code, v.event.RequestID, d.start.Sub(v.event.by.end))
				}
			}
			x.t.Errorf("%s: the door said %s of %s, which was %v%s", d.id, d.a.code(), d.target, codes, why)
		}
	}
	return asked
}

// logged is what the replicas' logs say of a request.
func (c *crowd) logged(d *deed) (lines string) {
	for _, r := range c.replicas {
		for line := range strings.Lines(r.logs.String()) {
			if strings.Contains(line, `"`+d.id+`"`) {
				lines += line
			}
		}
	}
	return lines
}

// whole reports whether what is there of a request that was not answered is all
// of it.
func whole(d *deed, events, issued int) bool {
	switch d.op {
	case "rotate-key", "rotate-own-key":
		return events == 2
	case "issue-keys":
		asked := 0
		for _, k := range d.body["keys"].([]m) {
			if k["idempotent"] == nil || k["idempotent"] == false {
				asked++
			}
		}
		return issued >= asked
	}
	return true
}

// escaped finds keys that a bulk action on active keys should have reached: what
// a key became that it would else have met.
func (x *model) escaped(e *event) {
	d := e.by
	if d == nil || d.op != "act-on-keys" || e.Action != "key.revoke" && e.Action != "key.disable" {
		return
	}
	f := d.body["filter"].(m)
	if f["status"] != "active" {
		return
	}
	for id, k := range x.things {
		if k.kind != "key" || k.version != 1 || k.text("rotated_from") == "" || x.judge(k) != "VALID" || f["owner_id"] != nil && f["owner_id"] != k.text("owner_id") {
			continue
		}
		var tags []string
		_ = json.Unmarshal(k.fields["tags"], &tags)
		if f["tag"] != nil && !slices.Contains(tags, f["tag"].(string)) {
			continue
		}
		was := x.things[k.text("rotated_from")]
		rotation := slices.IndexFunc(was.events, func(e *event) bool { return e.Action == "key.rotate" })
		if last := was.events[rotation-1].by; last == nil || last.err != nil || !last.end.Before(d.start) {
			continue // it may have become one for the action after that had looked
		}
		x.t.Errorf("%d %s of %v by %s missed %s, which %s became", e.Number, e.Action, f, d.id, id, k.text("rotated_from"))
	}
}
