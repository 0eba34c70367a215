package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// seedOf returns the seed of a run, and says how to have it again.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("LATCHKEY_TEST_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("LATCHKEY_TEST_SEED=%d", seed)
	return seed
}

// Every operation of the document is sent requests that are made from it, good
// ones and such as are broken in one place or several. Whatever comes, the answer
// is one that the document describes, and never a 5xx; nothing that the document
// forbids is carried out, nothing that was refused leaves a trace, and no secret
// that was sent comes back or is in the log.
func TestGeneratedRequests(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, pgtest.DSN(t)))
	random := rand.New(rand.NewPCG(seedOf(t), 0))
	g := &generator{breaker: newBreaker(s, random), cast: newCast(s)}
	for range generatedRounds {
		for _, o := range s.operations {
			g.round(o)
		}
	}
	if g.carriedOut == 0 || g.refused == 0 {
		t.Errorf("%d requests were carried out, %d refused", g.carriedOut, g.refused)
	}
	t.Logf("%d requests were carried out, %d refused", g.carriedOut, g.refused)
	for _, secret := range append(g.secrets, g.secret, g.admin) {
		if strings.Contains(s.logs.String(), secret[8:]) {
			t.Error("a secret is in the log")
		}
	}
}

type generator struct {
	*breaker
	cast                *cast
	carriedOut, refused int
	secrets             []string // that were in use before
}

// round makes a good request for an operation, breaks it and sends it.
func (g *generator) round(o *operation) {
	examples, err := g.examples(o)
	if err != nil {
		g.t.Fatal(err)
	}
	q := g.exemplary(o, examples[one(g.breaker, slices.Sorted(maps.Keys(examples)))], g.callerOf(o))
	breaks := g.breaks(q)
	var how []string
	for range 1 + g.random.IntN(8)/6 { // now and then two at once
		way := one(g.breaker, breaks)()
		way.apply(q)
		how = append(how, way.name)
	}
	g.judge(q, strings.Join(how, ", "))
	if o.ID == "act-on-keys" { // among all keys may have been the one that tests act by
		g.secrets = append(g.secrets, g.admin)
		g.renewAdmin()
	}
}

// callerOf is one who may do everything that an operation does.
func (g *generator) callerOf(o *operation) *actor {
	switch {
	case o.ID == "setup":
		return &actor{bearer: g.reopenSetup()}
	case o.takes("managementKey") && len(o.scopes()) > 0:
		return &actor{bearer: g.admin}
	case o.takes("session"):
		return g.cast.actor(string(access.Owner), o)
	case o.takes("apiKey"):
		return g.key()
	}
	return &actor{}
}

// judge sends a request and looks at everything that its answer promises.
func (g *generator) judge(q *request, how string) answer {
	before := g.head()
	a := g.ask(q)
	fail := func(format string, args ...any) {
		what := fmt.Sprintf("%s with %s: %d: ", q.op.ID, how, a.status) + fmt.Sprintf(format, args...)
		if len(what) > 2000 {
			what = what[:2000]
		}
		g.t.Errorf("%s\nwas sent %.300s %.300s\nand got %.500s", what, q.address(), q.text(g.t), a.raw)
	}
	switch {
	case a.status >= 500:
		fail("a fault of ours: %s", g.lastFailure())
	case a.status >= 400:
		g.refused++
		if after := g.head(); after != before {
			fail("it was refused, and still the journal grew")
		}
		if strings.Contains(a.raw, g.secret[8:]) || strings.Contains(a.raw, g.admin[4:]) || strings.Contains(a.raw, examplePassword) {
			fail("a secret is repeated")
		}
	default:
		g.carriedOut++
		if media := q.op.body(); media != nil && q.raw == "" && q.body != nil && q.op.ID != "verify" && q.op.ID != "explain" { // a key that is not there has a verdict
			if err := g.fits(withoutNulls(g.t, q), "paths", q.op.Path, strings.ToLower(q.op.Method), "requestBody", "content", "application/json", "schema"); err != nil {
				fail("the document forbids it, and it was carried out: %v", err)
			}
		}
	}
	if err := g.describes(q.op, a); err != nil {
		fail("%v", err)
	}
	return a
}

// withoutNulls is the body with its null members left out, which mean the same
// but in a PATCH.
func withoutNulls(t testing.TB, q *request) string {
	if q.op.Method == http.MethodPatch {
		return q.text(t)
	}
	var strip func(any) any
	strip = func(value any) any {
		switch v := value.(type) {
		case map[string]any:
			maps.DeleteFunc(v, func(_ string, member any) bool { return strip(member) == nil })
		case []any:
			for _, item := range v {
				strip(item)
			}
		}
		return value
	}
	var body any
	_ = json.Unmarshal([]byte(q.text(t)), &body) // it was carried out
	text, err := json.Marshal(strip(body))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// head is the number of the last change that was made.
func (g *generator) head() int64 {
	head, err := g.app.DB.Head(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	return head.Number
}

// Of edits of one version that come at the same time one is carried out, and the
// others are told that they are outdated.
func TestConflictingEdits(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, pgtest.DSN(t)))
	edits := 0
	for _, o := range s.operations {
		if o.Method != http.MethodPatch {
			continue
		}
		edits++
		examples, err := s.examples(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range examples {
			q := s.exemplary(o, example, &actor{bearer: s.admin})
			read := s.call(s.admin, "GET", q.address(), nil, 200)
			q.header["If-Match"] = read.header.Get("ETag")
			var mu sync.Mutex
			statuses := map[int]int{}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					a := s.ask(q)
					mu.Lock()
					defer mu.Unlock()
					statuses[a.status]++
				})
			}
			all.Wait()
			if statuses[200] != 1 || statuses[412] != 7 {
				t.Errorf("%s: %v", o.ID, statuses)
			}
		}
	}
	if edits < 4 {
		t.Errorf("only %d operations edit", edits)
	}
}
