package app_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/latchkey/latchkey/kong/kongtest"
)

// load is clients that go on asking while something is done to their gateway.
// Every request of theirs is either good or must never be let through.
type load struct {
	t       testing.TB
	stop    func()
	through atomic.Int64 // requests that were let through and should not have been

	mu   sync.Mutex
	seen map[string]int // what clients saw: what they sent and the answer
}

// sends is what a client sends, by what it is.
type sends map[string]kongtest.Request

// good marks what may be let through, by the beginning of its name.
const good = "good"

// loads starts clients that send each of what is given in turn, until stop.
func loads(t testing.TB, route *kongtest.Route, clients int, what sends) *load {
	l := &load{t: t, seen: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	names := slices.Sorted(maps.Keys(what))
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				name := names[n%len(names)]
				out, err := route.Access(ctx, what[name])
				if ctx.Err() == nil {
					l.note(name, out, err)
				}
			}
		})
	}
	l.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(l.stop)
	return l
}

// note counts what a client saw. Whatever happens, a request that may not pass
// does not pass, and a good one is never told that its key is bad.
func (l *load) note(name string, out kongtest.Outcome, err error) {
	saw := "let through"
	switch {
	case err != nil:
		saw = err.Error()
	case out.Err != nil:
		saw = "500 by Kong"
	case !out.Allowed:
		saw = fmt.Sprint(out.Status, " ", code(out))
	}
	may := strings.HasPrefix(name, good)
	if out.Allowed && !may {
		l.through.Add(1)
		l.t.Errorf("let through: %s", name)
	}
	if may && !out.Allowed && err == nil && out.Status < 500 {
		l.t.Errorf("a good request was refused: %s", saw)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[name+": "+saw]++
}

// count is how many answers begin so.
func (l *load) count(start string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for saw, times := range l.seen {
		if strings.HasPrefix(saw, start) {
			n += times
		}
	}
	return n
}

// more waits for some more answers that begin so.
func (l *load) more(start string) {
	l.t.Helper()
	before := l.count(start)
	eventually(l.t, "clients saw more of "+start, func() bool { return l.count(start) >= before+10 })
}

// report ends the load and logs what clients saw.
func (l *load) report() {
	l.t.Helper()
	l.stop()
	if n := l.through.Load(); n != 0 {
		l.t.Errorf("%d requests were let through that should not have been", n)
	}
	for _, saw := range slices.Sorted(maps.Keys(l.seen)) {
		l.t.Logf("%6d × %s", l.seen[saw], saw)
	}
}

// presented is a good key and everything that must not pass, known to the
// gateway before.
func (f *front) presented(g *gateway) sends {
	f.t.Helper()
	with := func(key string) kongtest.Request { return kongtest.Request{Headers: shows("X-API-Key", key)} }
	ok, _ := f.issue(nil)
	revoked, revokedID := f.issue(nil)
	disabled, disabledID := f.issue(nil)
	lacking, _ := f.issue(m{"scopes": []string{"invoices:read"}})
	elsewhere, _ := f.issue(m{"allow_cidrs": []string{"203.0.113.0/24"}})
	g.caches(ok, revoked, disabled)
	f.act(revokedID, "revoke")
	f.act(disabledID, "disable")
	g.becomes(revoked, "REVOKED")
	g.becomes(disabled, "DISABLED")
	return sends{
		"good": with(ok), "revoked": with(revoked), "disabled": with(disabled), "without the scope": with(lacking),
		"from elsewhere": with(elsewhere), "unknown": with("lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"),
		"malformed": with("hunter2"), "management key": with(f.admin), "none": {},
	}
}
