package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// event is a row of the audit log.
type event struct {
	Number    int64  `json:"number"`
	RequestID string `json:"request_id"`
	At        time.Time
	Action    string
	Target    struct{ Kind, ID string }
	Before    map[string]json.RawMessage
	After     map[string]json.RawMessage
	by        *deed
}

// thing is what is known of something after an event.
type thing struct {
	kind    string
	version int64
	fields  map[string]json.RawMessage
	events  []*event
}

func (x *thing) text(field string) (s string) {
	_ = json.Unmarshal(x.fields[field], &s)
	return s
}

func (x *thing) at(field string) (at *time.Time) {
	_ = json.Unmarshal(x.fields[field], &at)
	return at
}

func (x *thing) set(field string) bool { return x.at(field) != nil }

// live is whether a key counts.
func (x *thing) live(now time.Time) bool {
	return !x.set("deleted_at") && !x.set("revoked_at") && !x.set("retires_at") && (!x.set("expires_at") || x.at("expires_at").After(now))
}

// model is what the audit log says that happened, in its order.
type model struct {
	*crowd
	events []*event
	things map[string]*thing
	under  map[string][]string // keys and subscriptions, by what they hang on
	// verdicts are what the doors must say of a key from an event on.
	verdicts map[string][]verdictFrom
	deedOf   map[string]*deed
	byDeed   map[string][]*event
	last     map[string]*event // of a request
}

type verdictFrom struct {
	event *event
	code  string
}

// replay reads the audit log and holds it against itself, the rules and the
// book.
func (c *crowd) replay() *model {
	c.t.Helper()
	x := &model{crowd: c, things: map[string]*thing{}, under: map[string][]string{}, verdicts: map[string][]verdictFrom{}, deedOf: map[string]*deed{}, byDeed: map[string][]*event{}, last: map[string]*event{}}
	for _, d := range c.deeds {
		x.deedOf[d.id] = d
	}
	for row, err := range c.replicas[0].app.DB.AuditRows(c.t.Context()) {
		if err != nil {
			c.t.Fatal(err)
		}
		e := new(event)
		if err := json.Unmarshal([]byte(row.Text), e); err != nil {
			c.t.Fatal(err)
		}
		e.by = x.deedOf[e.RequestID]
		x.events = append(x.events, e)
		x.last[e.RequestID] = e
	}
	for i, e := range x.events {
		if e.by != nil {
			x.byDeed[e.RequestID] = append(x.byDeed[e.RequestID], e)
		} else if strings.HasPrefix(e.RequestID, "crowd-") {
			c.t.Errorf("%s is of no request", e.RequestID)
		}
		x.apply(e)
		if i+1 == len(x.events) || x.events[i+1].RequestID != e.RequestID {
			x.rules(e)
		}
	}
	return x
}

// apply makes an event true. What it says was before must be what was.
func (x *model) apply(e *event) {
	it := x.things[e.Target.ID]
	if it == nil {
		it = &thing{kind: e.Target.Kind, fields: map[string]json.RawMessage{}}
		x.things[e.Target.ID] = it
	} else {
		for name, was := range e.Before {
			if string(it.fields[name]) != string(was) {
				x.t.Errorf("%d %s of %s: %s was %s before, and it says %s", e.Number, e.Action, e.Target.ID, name, it.fields[name], was)
			}
		}
	}
	maps.Copy(it.fields, e.After)
	for name := range e.Before {
		if _, still := e.After[name]; !still {
			delete(it.fields, name)
		}
	}
	it.version++
	it.events = append(it.events, e)
	if d := e.by; d != nil && d.err == nil && d.target == e.Target.ID && d.op == "update-key" {
		if d.ifMatch != "" && d.ifMatch != fmt.Sprintf("%q", fmt.Sprint(it.version-1)) {
			x.t.Errorf("%s: If-Match %s was carried out on version %d", d.id, d.ifMatch, it.version-1)
		}
		if got := d.a.header.Get("ETag"); got != fmt.Sprintf("%q", fmt.Sprint(it.version)) {
			x.t.Errorf("%s: answered the version %s of %d", d.id, got, it.version)
		}
	}
	if it.version == 1 {
		for _, on := range []string{"owner_id", "user_id", "subscription_id"} {
			if on = it.text(on); on != "" {
				x.under[on] = append(x.under[on], e.Target.ID)
			}
		}
	}
	x.judged(e, e.Target.ID)
	for _, id := range x.under[e.Target.ID] {
		x.judged(e, id)
	}
}

// judged notes what doors say of a key from an event on.
func (x *model) judged(e *event, id string) {
	k := x.things[id]
	if k.kind != "key" {
		return
	}
	code, known := x.judge(k), x.verdicts[id]
	if len(known) == 0 || known[len(known)-1].code != code {
		x.verdicts[id] = append(known, verdictFrom{e, code})
	}
}

// status is what lists say of a key.
func (x *model) status(k *thing) string {
	now := time.Now()
	passed := func(field string) bool { return k.set(field) && k.at(field).Before(now) }
	switch {
	case k.set("revoked_at"):
		return "revoked"
	case passed("retires_at"):
		return "retired"
	case k.set("disabled_at"):
		return "disabled"
	case passed("expires_at"):
		return "expired"
	case k.set("retires_at"):
		return "retiring"
	}
	return "active"
}

// judge is what a door says of a key.
func (x *model) judge(k *thing) string {
	owner, sub, status := x.things[k.text("owner_id")], x.things[k.text("subscription_id")], x.status(k)
	switch {
	case status != "active" && status != "retiring":
		return strings.ToUpper(status) // a deleted one is revoked, until it is purged
	case owner != nil && owner.set("disabled_at"):
		return "OWNER_DISABLED"
	case sub != nil && sub.text("status") != "active":
		return "PLAN_INACTIVE"
	}
	return "VALID"
}

// rules are what holds of a user after every transaction.
func (x *model) rules(e *event) {
	if x.last[e.RequestID] == e { // more than 1,000 keys are changed in several transactions
		x.escaped(e)
	}
	it := x.things[e.Target.ID]
	user := it.text("owner_id") + it.text("user_id")
	if user == "" {
		return
	}
	live, single := 0, map[string]int{}
	for _, id := range x.under[user] {
		switch its := x.things[id]; {
		case its.kind == "key" && its.live(e.At):
			live++
			if label := its.text("label"); label != "" {
				single["live keys have the label "+label]++
			}
		case its.kind == "subscription" && its.text("status") != "ended":
			single["live subscriptions are to the plan "+its.text("plan_id")]++
		}
	}
	for what, n := range single {
		if n > 1 {
			x.t.Errorf("after %d %s by %s: %d %s", e.Number, e.Action, e.RequestID, n, what)
		}
	}
	if i := slices.Index(x.users, user); i >= 0 && most[i] > 0 && live > most[i] {
		x.t.Errorf("after %d %s by %s: user %d holds %d live keys, and may %d", e.Number, e.Action, e.RequestID, i, live, most[i])
	}
}
