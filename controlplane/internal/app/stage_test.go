package app_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

const (
	// examplePassword is what the document's examples sign in with.
	examplePassword = "correct horse battery staple"
	exampleSecret   = "lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"
)

// stage is a replica with whatever a request needs to be carried out: examples
// of the document are made true in it.
type stage struct {
	*replica
	*document
	admin string             // a management key with everything
	hash  users.PasswordHash // of examplePassword
	made  int                // counts, for names that are unique
}

func newStage(t testing.TB, r *replica) *stage {
	hash, err := users.HashPassword(examplePassword)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{replica: r, document: readDocument(t), admin: r.admin(), hash: hash}
	s.call(s.admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro"}, 201)
	return s
}

// renewAdmin makes another management key with everything.
func (s *stage) renewAdmin() {
	s.t.Helper()
	issued, err := s.app.Keys.Issue(s.t.Context(), access.System(), keys.NewKey{Kind: apikey.KindManagement, Name: "admin", Scopes: []string{"*"}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.admin = issued.Secret.Reveal()
}

// actor is who sends requests: nobody, a bearer of a key, or a signed-in user.
type actor struct {
	bearer string
	*browser
	userID, keyID string
}

// user makes a user with a role who may sign in.
func (s *stage) user(role access.Role) (id, username string) {
	s.made++
	username = fmt.Sprintf("user-%d", s.made)
	u, err := s.app.Users.Create(s.t.Context(), access.System(), users.NewUser{Name: username, Username: username, Role: role, Password: s.hash})
	if err != nil {
		s.t.Fatal(err)
	}
	return u.ID.String(), username
}

// signIn makes a signed-in user with a role.
func (s *stage) signIn(role access.Role) *actor {
	id, username := s.user(role)
	b := s.browser()
	b.want(204, "POST", "/auth/v1/login/local", credentials(username, examplePassword))
	return &actor{browser: b, userID: id}
}

// key issues an API key that fits the examples of the doors.
func (s *stage) key(more ...any) *actor {
	body := m{"name": "ci", "scopes": []string{"reports:read"}}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	a := s.call(s.admin, "POST", "/api/v1/keys", body, 201)
	return &actor{bearer: a.text("secret"), keyID: a.text("key", "id")}
}

// holding issues a management key.
func (s *stage) holding(scopes ...access.Scope) *actor {
	a := s.call(s.admin, "POST", "/api/v1/keys", m{"name": "k", "kind": "management", "scopes": scopes}, 201)
	return &actor{bearer: a.text("secret"), keyID: a.text("key", "id")}
}

// kinds are the prefixes of ids by the part of an address that they follow.
var kinds = map[string]string{
	"keys": "key", "users": "usr", "plans": "pln", "subscriptions": "sub", "limits": "lim", "sessions": "ses", "gateways": "gw",
}

// request is a request as tests build and break it.
type request struct {
	op     *operation
	by     *actor
	path   map[string]string
	query  url.Values
	header map[string]string
	body   any    // encoded as JSON, but for nil
	raw    string // instead of body, where it is not empty
}

// address is where a request goes.
func (q *request) address() string {
	at := q.op.Path
	for name, value := range q.path {
		at = strings.Replace(at, "{"+name+"}", url.PathEscape(value), 1)
	}
	if len(q.query) > 0 {
		at += "?" + q.query.Encode()
	}
	return at
}

// text is the body as it is sent.
func (q *request) text(t testing.TB) string {
	if q.raw != "" || q.body == nil {
		return q.raw
	}
	b, err := json.Marshal(q.body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ask sends a request in the name of its actor.
func (s *stage) ask(q *request) answer {
	s.t.Helper()
	var headers []string
	for name, value := range q.header {
		headers = append(headers, name, value)
	}
	if q.by.browser != nil {
		return q.by.do(q.op.Method, q.address(), q.text(s.t), headers...)
	}
	if q.by.bearer != "" {
		headers = append([]string{"Authorization", "Bearer " + q.by.bearer}, headers...)
	}
	return s.send(q.op.Method, q.address(), q.text(s.t), headers...)
}

// prepare sets right what the examples alone cannot say.
var prepare = map[string]func(*stage, *request){
	"login-local": func(s *stage, q *request) {
		id, username := s.user(access.Member)
		if body := q.body.(map[string]any); body["email"] != nil {
			email := username + "@example.com"
			s.call(s.admin, "PATCH", "/api/v1/users/"+id, m{"email": email}, 200)
			body["email"] = email
		} else {
			body["username"] = username
		}
	},
	"end-my-other-sessions": func(s *stage, q *request) { s.make("ses", q.by) },
	"enable-key": func(s *stage, q *request) {
		s.call(s.admin, "POST", "/api/v1/keys/"+q.path["id"]+"/disable", nil, 200)
	},
	"restore-key": func(s *stage, q *request) {
		s.call(s.admin, "POST", "/api/v1/keys/"+q.path["id"]+"/revoke", nil, 200)
	},
	"resume-subscription": func(s *stage, q *request) {
		s.call(s.admin, "POST", "/api/v1/subscriptions/"+q.path["id"]+"/pause", nil, 200)
	},
	"rotate-own-key": func(s *stage, q *request) {
		if q.by.keyID != "" && strings.HasPrefix(q.by.bearer, "lk_") {
			s.call(s.admin, "PATCH", "/api/v1/keys/"+q.by.keyID, m{"rotate_every_days": 30}, 200)
		}
	},
}

// exemplary makes the request that an example shows, in the name of an actor,
// with everything there that it names.
func (s *stage) exemplary(o *operation, example any, by *actor) *request {
	q := &request{op: o, by: by, path: map[string]string{}, query: url.Values{}, header: map[string]string{}}
	q.body = s.realised(example, "", by)
	before := ""
	for part := range strings.SplitSeq(o.Path, "/") {
		switch {
		case part == "{id}" && kinds[before] != "":
			q.path["id"] = s.make(kinds[before], by)
		case part == "{start}":
			q.path["start"] = s.key().bearer[:12]
		case strings.HasPrefix(part, "{"):
			s.t.Fatalf("%s: tests cannot make a %s of %s: add it to kinds", o.ID, part, before)
		}
		before = part
	}
	s.needed(q)
	if also := prepare[o.ID]; also != nil {
		also(s, q)
	}
	return q
}

// needed adds the query that an operation cannot be without, by its examples.
func (d *document) needed(q *request) {
	for _, p := range q.op.Parameters {
		if p.In == "query" && p.Required {
			text, _ := d.example(p.Schema)
			q.query.Set(p.Name, fmt.Sprint(text))
		}
	}
}

var anID = regexp.MustCompile(`^([a-z]{2,3})_[0-9a-f]{32}$`)

// realised replaces what an example only stands for: ids by those of things that
// are there, names that are unique by new ones, the example's key by a good one.
func (s *stage) realised(example any, name string, by *actor) any {
	switch v := example.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for member, value := range v {
			object[member] = s.realised(value, member, by)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			list[i] = s.realised(value, "", by)
		}
		return list
	case string:
		if found := anID.FindStringSubmatch(v); found != nil {
			return s.make(found[1], by)
		}
		if v == exampleSecret {
			return s.key().bearer
		}
		switch name {
		case "slug", "username", "external_id", "label":
			s.made++
			return fmt.Sprintf("%s-%d", v, s.made)
		}
	}
	return example
}
