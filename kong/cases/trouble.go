package cases

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/latchkey/latchkey/kong/kongtest"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Gateway is a Kong with the plugin, however it is reached.
type Gateway interface {
	// Ask puts a request through a route with that policy. Outcome has what can
	// be told: Calls are nil where they are not counted.
	Ask(t testing.TB, p Policy, r kongtest.Request) kongtest.Outcome
}

// undecided is what becomes of a key that nobody can judge.
var undecided = Case{Policy: Scoped(), Want: refused(apikey.Undecided)}

// BadAnswers holds a gateway to this: a control plane that answers look-ups
// badly, or not at all, costs a request its time limit at most, and admits
// nobody; what is cached goes on, and new keys do as soon as answers are good.
func BadAnswers(t testing.TB, g Gateway, c *ControlPlane) {
	t.Helper()
	cached := Issue(nil)
	c.Know(cached)
	passes(t, g, cached)
	for name, spoil := range map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client left
			<-r.Context().Done()
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("\xff\x00{")) },
		"half a body": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"records":[{"v":1,"found":true,`))
		},
		"no records": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"records":[]}`)) },
		"null":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"records":[null]}`)) },
		"500":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		t.Logf("the control plane's answer: %s", name)
		c.Spoil(spoil)
		began := time.Now()
		out := g.Ask(t, Scoped(), sent("X-API-Key", c.Issue(nil)))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the request took %v", took)
		}
		undecided.Check(t, &out)
		if out := passes(t, g, cached); out.Calls != nil && len(out.Calls) != 2 {
			t.Errorf("a cached key costs %v", out.Calls)
		}
	}
	c.Spoil(nil)
	await(t, "a new key passes", func() bool { return g.Ask(t, Scoped(), sent("X-API-Key", c.Issue(nil))).Allowed })
}

// Away holds a gateway to this: while the control plane is away cached keys pass
// and others are not decided, and when it is back they are.
func Away(t testing.TB, g Gateway, c *ControlPlane) {
	t.Helper()
	cached, unheard := Issue(nil), Issue(nil)
	c.Know(cached, unheard)
	passes(t, g, cached)
	c.Leave()
	passes(t, g, cached)
	out := g.Ask(t, Scoped(), sent("X-API-Key", unheard.Text))
	undecided.Check(t, &out)
	none := Case{Policy: Scoped(), Want: refused(apikey.MissingCredential)}
	out = g.Ask(t, Scoped(), kongtest.Request{})
	none.Check(t, &out)
	c.Return()
	await(t, "an unheard key passes", func() bool { return g.Ask(t, Scoped(), sent("X-API-Key", unheard.Text)).Allowed })
	passes(t, g, unheard)
}

func passes(t testing.TB, g Gateway, k Key) kongtest.Outcome {
	t.Helper()
	c := Case{Policy: Scoped(), Want: allowed(k)}
	out := g.Ask(t, c.Policy, sent("X-API-Key", k.Text))
	c.Check(t, &out)
	return out
}

// Ready waits until a gateway has heard of its control plane.
func Ready(t testing.TB, g Gateway) {
	t.Helper()
	await(t, "the gateway knows its control plane", func() bool {
		return g.Ask(t, Scoped(), sent("X-API-Key", "none")).Status == http.StatusUnauthorized
	})
}

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}
