package app_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/apikey/vectors"
)

// doors are both doors of one installation.
type doors struct {
	*front
	gateway *gateway
	behalf  string // a management key that speaks for clients
}

// Both doors answer every decision that all doors share, about the same real
// keys, alike: code, status, body and headers, and who the caller is.
func TestBothDoorsAnswerEveryDecision(t *testing.T) {
	t.Parallel()
	all, err := vectors.All()
	if err != nil {
		t.Fatal(err)
	}
	d := &doors{front: newFront(t)}
	d.behalf = d.management("auth:on-behalf")
	d.gateway = gatewayOf(t, "gateway", d.token, []string{d.url})
	d.call(d.admin, "POST", "/api/v1/plans", m{"slug": "pro", "name": "Pro"}, 201)
	seen := map[apikey.Code]bool{}
	for i := range all {
		v := &all[i]
		if !reachable(v) {
			continue
		}
		seen[v.Code] = true
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			d.of(t).decide(v)
		})
	}
	for _, c := range apikey.Codes() {
		// What is undecided cannot be stored: TestBothDoorsAreUndecidedAlike.
		if !seen[c] && c != apikey.Undecided {
			t.Errorf("%v was not asked for", c)
		}
	}
}

// reachable leaves out what no key here can be, and the questions of another
// door: that for management keys is the admin API.
func reachable(v *vectors.Vector) bool {
	impossible := !v.Record.Needs.Empty() ||
		v.Record.Subscription.Status == apikey.Canceled && v.Record.Subscription.PeriodEnd == 0
	return v.Request.Kind == apikey.KindAPI && !impossible
}

// of returns the same doors for a subtest.
func (d *doors) of(t *testing.T) *doors {
	r, f, g := *d.replica, *d.front, *d.gateway
	r.t, g.t, f.replica = t, t, &r
	return &doors{front: &f, gateway: &g, behalf: d.behalf}
}

func (d *doors) decide(v *vectors.Vector) {
	d.t.Helper()
	credential, owner := d.made(v)
	req := kongtest.Request{Method: v.Request.Method, Path: v.Request.Path, ClientIP: "unix:"}
	if v.Request.IP.IsValid() {
		req.ClientIP = v.Request.IP.String()
	}
	if credential != "" {
		req.Headers = shows("X-API-Key", credential)
	}
	if v.Also != "" {
		req.Headers = append(req.Headers, shows("Authorization", "Bearer "+v.Also)...)
	}
	policy := m{"scopes": v.Request.Scopes, "scopes_any": v.Request.AnyScopes, "strict_credentials": v.Also != ""}
	if v.Request.Environment != 0 {
		policy["environment"] = v.Request.Environment.String()
	}
	route := d.gateway.Route(policy)
	var edge kongtest.Outcome
	want := v.Code.String()
	if v.Code == apikey.MethodNotAllowed && v.Request.Method == "" {
		want = "VALID" // a gateway knows the method of every request, here GET
	}
	eventually(d.t, "it is decided", func() bool {
		edge = d.gateway.send(route, req)
		return v.Code != apikey.Expired || code(edge) == want // which takes its time
	})
	if got := code(edge); got != want || !edge.Allowed && edge.Status != v.Status {
		d.t.Fatalf("the gateway answers %s %d, want %s %d: %s", got, edge.Status, want, v.Status, edge.Body)
	}
	if v.Code == apikey.AmbiguousCredential || v.Code == apikey.EnvironmentMismatch {
		return // POST /v1/auth takes one credential, and asks for no environment
	}
	door := d.asked(v, credential)
	d.expect(door, v.Status, v.Code.String())
	switch {
	case v.Code == apikey.Valid:
		d.sameCaller(edge, door, owner)
		if again := d.gateway.send(route, req); !ruled(v) && len(again.Calls) != 2 {
			d.t.Errorf("allowed by %q", again.Calls)
		}
	case !edge.Allowed:
		at := answered(edge)
		if v.Code == apikey.IPNotAllowed && !v.Request.IP.IsValid() || v.Code == apikey.PathNotAllowed && v.Request.Path == "" {
			delete(door.body, "detail") // it says which member was not sent
			delete(at.body, "detail")
		}
		sameRefusal(d.t, at, door)
	}
}

// asked asks POST /v1/auth what the vector's request asks.
func (d *doors) asked(v *vectors.Vector, credential string) answer {
	d.t.Helper()
	ip := ""
	if v.Request.IP.IsValid() {
		ip = v.Request.IP.String()
	}
	body := m{"auth_key": credential, "client_ip": ip, "method": v.Request.Method, "path": v.Request.Path}
	if len(v.Request.Scopes) > 0 {
		body["scopes"] = v.Request.Scopes
	}
	if len(v.Request.AnyScopes) > 0 {
		body["scopes_any"] = v.Request.AnyScopes
	}
	return d.call(d.behalf, "POST", "/v1/auth", body, v.Status)
}

// ruled reports whether judging the key needs to know the client.
func ruled(v *vectors.Vector) bool {
	k := &v.Record.Key
	return v.Also != "" || !k.AllowCIDRs.Empty() || !k.DenyCIDRs.Empty() || !k.AllowMethods.Empty() || !k.AllowPaths.Empty()
}

// sameRefusal compares all that the client is told. The request's id is the
// other door's alone: Kong has its own.
func sameRefusal(t testing.TB, edge, door answer) {
	t.Helper()
	if door.text("request_id") == "" {
		t.Error("POST /v1/auth tells no request id")
	}
	delete(door.body, "request_id")
	if diff := cmp.Diff(door.body, edge.body); diff != "" {
		t.Errorf("the bodies differ (- POST /v1/auth, + gateway):\n%s", diff)
	}
	for _, name := range []string{"Content-Type", "Cache-Control", "Www-Authenticate", "Retry-After"} {
		if diff := cmp.Diff(door.header.Values(name), edge.header.Values(name)); diff != "" {
			t.Errorf("%s (- POST /v1/auth, + gateway):\n%s", name, diff)
		}
	}
}

// sameCaller compares the upstream's view with the answer to who asked.
func (d *doors) sameCaller(edge kongtest.Outcome, door answer, owner string) {
	d.t.Helper()
	var scopes []string
	for _, s := range door.get("key", "scopes").([]any) {
		scopes = append(scopes, s.(string))
	}
	for name, want := range map[string]string{
		"X-Consumer-ID": door.text("user", "id"), "X-Consumer-Username": owner, "X-Consumer-Custom-ID": door.text("user", "external_id"),
		"X-Credential-Identifier": door.text("key", "id"), "X-Authenticated-Scope": strings.Join(scopes, " "),
		"X-Consumer-Groups": door.text("subscription", "plan"), "Latchkey-Environment": door.text("key", "environment"),
	} {
		if got := edge.Upstream.Get(name); got != want {
			d.t.Errorf("%s is %q, POST /v1/auth knows %q", name, got, want)
		}
	}
	if edge.Upstream.Get("X-API-Key") != "" || edge.Upstream.Get("X-Consumer-ID") == "" {
		d.t.Errorf("the upstream sees %v", edge.Upstream)
	}
}

// made makes the vector's key by the admin API, and by SQL what the API refuses
// to make. It returns the credential to show and its owner's name.
func (d *doors) made(v *vectors.Vector) (credential, owner string) {
	d.t.Helper()
	shape, ok := vectors.Prefixes.Parse(v.Credential)
	if !ok {
		return v.Credential, ""
	}
	k := &v.Record.Key
	if !v.Found {
		return apikey.NewSecret("lk", shape.Kind, shape.Environment).Reveal(), ""
	}
	if k.Kind == apikey.KindManagement {
		issued := d.call(d.admin, "POST", "/api/v1/keys", m{"name": "m", "kind": "management", "scopes": []string{"keys:read"}}, 201)
		if k.RevokedAt != 0 {
			d.act(issued.text("key", "id"), "revoke")
		}
		return issued.text("secret"), ""
	}
	owner = "Ada " + apikey.NewSecret("lk", apikey.KindAPI, apikey.Live).Start()
	user := d.call(d.admin, "POST", "/api/v1/users", m{"name": owner, "external_id": owner}, 201).text("id")
	body := m{
		"owner_id": user, "scopes": k.Scopes, "environment": k.Environment.String(),
		"allow_methods": k.AllowMethods, "allow_paths": k.AllowPaths, "allow_cidrs": k.AllowCIDRs, "deny_cidrs": k.DenyCIDRs,
	}
	if v.Record.Subscription.ID != "" {
		body["plan"] = "pro"
	}
	moment(body, "not_before", k.NotBefore, v.Now)
	moment(body, "expires_at", k.ExpiresAt, v.Now)
	secret, id := d.issue(body)
	d.fit(v, user, id)
	return secret, owner
}

// fit brings a fresh key into the vector's state.
func (d *doors) fit(v *vectors.Vector, user, id string) {
	d.t.Helper()
	k, s := &v.Record.Key, &v.Record.Subscription
	if s.Status != apikey.Active {
		change := m{"status": s.Status.String()}
		moment(change, "trial_ends_at", s.TrialEndsAt, v.Now)
		moment(change, "period_end", s.PeriodEnd, v.Now)
		sub := d.call(d.admin, "GET", "/api/v1/keys/"+id, nil, 200).text("subscription_id")
		d.call(d.admin, "PATCH", "/api/v1/subscriptions/"+sub, change, 200)
	}
	if k.RetiresAt != 0 {
		overlap := 0
		if k.RetiresAt > apikey.InstantOf(v.Now) {
			overlap = 1
		}
		d.call(d.admin, "POST", "/api/v1/keys/"+id+"/rotate", m{"overlap_hours": overlap}, 201)
	}
	if k.Disabled {
		d.act(id, "disable")
	}
	if k.RevokedAt != 0 {
		d.act(id, "revoke")
	}
	if k.RevokedAt > apikey.InstantOf(v.Now) {
		d.sql("UPDATE keys SET revoked_at = now() + interval '1 hour' WHERE id = '%s'", uuidOf(id))
	}
	if year := k.ExpiresAt.Time().Year(); k.ExpiresAt != 0 && year <= 1970 {
		d.sql("UPDATE keys SET expires_at = '%s' WHERE id = '%s'", k.ExpiresAt.Time().Format(time.RFC3339), uuidOf(id))
	}
	if v.Record.User.Disabled {
		d.call(d.admin, "PATCH", "/api/v1/users/"+user, m{"disabled": true}, 200)
	}
}

// moment puts a vector's moment into a body, moved to the real clock: what lies
// behind comes in an instant, for a key cannot be made that has expired, and
// what lies ahead stays well ahead.
func moment(body m, member string, at apikey.Instant, now time.Time) {
	switch {
	case at == 0:
	case at > apikey.InstantOf(now):
		body[member] = time.Now().Add(time.Hour)
	case member == "expires_at":
		body[member] = time.Now().Add(150 * time.Millisecond)
	default:
		body[member] = time.Now().Add(-time.Second)
	}
}

// uuidOf is an id as the database has it.
func uuidOf(id string) string { return id[strings.IndexByte(id, '_')+1:] }

// sql does what the API refuses to do.
func (f *front) sql(format string, args ...any) {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(f.t.Context(), fmt.Sprintf(format, args...)); err != nil {
		f.t.Fatal(err)
	}
}
