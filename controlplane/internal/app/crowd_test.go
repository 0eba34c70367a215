package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// crowd is many clients who do everything at once, at several replicas on one
// database, and a book of all that they were answered.
type crowd struct {
	t        *testing.T
	doc      *document
	ops      map[string]*operation
	replicas []*replica
	admin    string
	users    []string // 0 to 4 are changed by everybody, the last by nobody
	plans    []string // ids of slugs
	seed     uint64
	members  int

	mu    sync.Mutex
	keys  []held
	subs  []string
	deeds []*deed
}

// slugs are those of the crowd's plans. Nobody changes the last one, and no
// subscription moves onto it or off it.
var slugs = []string{"free", "pro", "more", "fixed"}

// bounds are the users' max_keys; 0: none. That of the fifth is changed, between
// three and this. The last one's keys are left alone.
var bounds = []int{5, 7, 0, 0, 8, 0}

// fixedKeys is max_keys of the plan that nobody changes.
const fixedKeys = 4

// most are how many live keys each user may ever have: the fourth is on the plan
// that nobody changes.
var most = []int{5, 7, 0, fixedKeys, 8, 0}

// held is a key that somebody was given.
type held struct{ id, secret, owner string }

// deed is a request, what was answered, and when it was under way.
type deed struct {
	id         string // of the request
	op         string
	target     string
	body       m
	ifMatch    string
	key        string // Idempotency-Key
	start, end time.Time
	a          answer
	err        error // no answer came
}

// assemble makes what the crowd is to work on.
func assemble(t *testing.T, seed uint64, admin string, replicas ...*replica) *crowd {
	t.Helper()
	c := &crowd{t: t, doc: readDocument(t), ops: map[string]*operation{}, replicas: replicas, admin: admin, seed: seed}
	for _, o := range c.doc.operations {
		c.ops[o.ID] = o
	}
	w := c.newMember()
	for _, slug := range slugs {
		body := m{"slug": slug, "name": slug}
		if slug == "fixed" {
			body["max_keys"] = fixedKeys
		}
		c.plans = append(c.plans, w.must("create-plan", "", body).a.text("id"))
	}
	for i, bound := range bounds {
		body := m{"name": fmt.Sprint("user ", i)}
		if bound > 0 {
			body["max_keys"] = bound
		}
		c.users = append(c.users, w.must("create-user", "", body).a.text("id"))
	}
	var still []m
	for i := range 60 {
		k := m{"name": fmt.Sprint("still ", i*7%60/2), "owner_id": c.users[5], "tags": []string{"still"}, "scopes": []string{"still"}}
		if i%3 > 0 {
			k["expires_in_days"] = 1 + i%9
		}
		still = append(still, k)
	}
	w.must("issue-keys", "", m{"keys": still})
	return c
}

// member is one of the crowd.
type member struct {
	*crowd
	name   string
	random *rand.Rand
	made   int
}

func (w *member) one(of ...string) string { return of[w.random.IntN(len(of))] }

func (w *member) chance(percent int) bool { return w.random.IntN(100) < percent }

// do sends a request to some replica and enters it in the book.
func (w *member) do(op, target string, body m, headers ...string) *deed {
	w.made++
	d := &deed{id: fmt.Sprintf("crowd-%s-%d", w.name, w.made), op: op, target: target, body: body}
	q := &request{op: w.ops[op], path: map[string]string{}}
	if q.op == nil {
		w.t.Errorf("there is no operation %s", op)
		return d
	}
	if target != "" {
		q.path["id"] = target
	}
	text := ""
	if body != nil {
		b, _ := json.Marshal(body)
		text = string(b)
	}
	sent := append([]string{"Authorization", "Bearer " + w.admin, "X-Request-Id", d.id}, headers...)
	for i := 0; i+1 < len(headers); i += 2 {
		switch headers[i] {
		case "If-Match":
			d.ifMatch = headers[i+1]
		case "Idempotency-Key":
			d.key = headers[i+1]
		}
	}
	w.mu.Lock()
	at := w.replicas[w.random.IntN(len(w.replicas))]
	w.mu.Unlock()
	d.start = time.Now()
	d.a, d.err = at.try(q.op.Method, q.address(), text, sent...)
	d.end = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deeds = append(w.deeds, d)
	return d
}

func (w *member) must(op, target string, body m) *deed {
	w.t.Helper()
	d := w.do(op, target, body)
	if d.err != nil || d.a.status >= 300 {
		w.t.Fatalf("%s: %v %d %s", op, d.err, d.a.status, d.a.raw)
	}
	return d
}

// hold notes what was issued.
func (w *member) hold(issued any) {
	i := answer{body: issued.(map[string]any)}
	if i.text("secret") == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys = append(w.keys, held{i.text("key", "id"), i.text("secret"), i.text("key", "owner_id")})
	if sub := i.text("key", "subscription_id"); sub != "" {
		w.subscribed(sub)
	}
}

// subscribed is called under the lock.
func (w *member) subscribed(sub string) {
	if !slices.Contains(w.subs, sub) {
		w.subs = append(w.subs, sub)
	}
}

// key is one of those that were issued of late, so that many meet at it.
func (w *member) key() held {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.keys) == 0 {
		return held{}
	}
	return w.keys[len(w.keys)-1-w.random.IntN(min(len(w.keys), 24))]
}

func (w *member) sub() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.subs) == 0 {
		return ""
	}
	return w.subs[len(w.subs)-1-w.random.IntN(min(len(w.subs), 6))]
}

func (c *crowd) newMember() *member {
	c.members++
	return &member{crowd: c, name: fmt.Sprint(c.members), random: rand.New(rand.NewPCG(c.seed, uint64(c.members)))}
}

// run lets members work until each has acted so many times.
func (c *crowd) run(members, times int, act func(*member)) (wait func()) {
	all := new(sync.WaitGroup)
	for range members {
		w := c.newMember()
		all.Go(func() {
			for range times {
				act(w)
			}
		})
	}
	return all.Wait
}

// lose takes a replica away from the crowd.
func (c *crowd) lose(r *replica) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replicas = slices.DeleteFunc(slices.Clone(c.replicas), func(o *replica) bool { return o == r })
}
