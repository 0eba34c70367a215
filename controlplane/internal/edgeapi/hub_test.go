package edgeapi_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/edgeapi"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/wire"
)

// listen opens a stream and returns its events until it ends. A zero place asks
// for none.
func (r *replica) listen(t testing.TB, token string, place wire.Position) (<-chan wire.Event, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	q := wire.ChangesQuery(wire.Gateway{Instance: uuid.NewString(), Name: "raw", BudgetMS: 1000}, place)
	request := must[*http.Request](t)(http.NewRequestWithContext(ctx, http.MethodGet, r.url()+wire.ChangesPath+"?"+q.Encode(), nil))
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set(wire.Header, wire.Version)
	response := must[*http.Response](t)(http.DefaultClient.Do(request))
	if response.StatusCode != http.StatusOK || response.Header.Get("X-Accel-Buffering") != "no" ||
		response.Header.Get("Content-Type") != "text/event-stream" || !wire.Speaks(response.Header) {
		t.Fatalf("%s %v", response.Status, response.Header)
	}
	events, done := make(chan wire.Event, 20_000), make(chan struct{})
	go func() {
		defer close(done)
		defer close(events)
		defer response.Body.Close()
		for in := wire.NewEventReader(response.Body); ; {
			e, err := in.Next()
			if err != nil {
				return
			}
			events <- e
		}
	}()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return events, stop
}

// next waits for an event of a name; others are passed over.
func next(t testing.TB, events <-chan wire.Event, name string) wire.Event {
	t.Helper()
	patience := time.After(20 * time.Second)
	for {
		select {
		case e, open := <-events:
			if !open {
				t.Fatalf("the stream ended before a %s", name)
			}
			if e.Name == name {
				return e
			}
		case <-patience:
			t.Fatalf("in vain waited for a %s", name)
		}
	}
}

func TestAChangeIsReadOnceHoweverManyListen(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t), "127.0.0.1:0")
	token := r.token(t, access.EdgeConnect).Secret.Reveal()
	k := r.issue(t)
	var all []<-chan wire.Event
	for range 60 {
		events, _ := r.listen(t, token, wire.Position{})
		next(t, events, wire.EventHead)
		all = append(all, events)
	}
	began, before := time.Now(), r.reads.Load()
	const rounds = 10
	for n := range 2 * rounds {
		act := r.keys.Disable
		if n%2 == 1 {
			act = r.keys.Enable
		}
		must[keys.Key](t)(act(t.Context(), access.CLI("test"), k.Key.ID))
	}
	for i, events := range all {
		last := int64(0)
		for range 2 * rounds {
			e := next(t, events, wire.EventChange)
			c := must[wire.Change](t)(wire.DecodeChange(e.Data))
			if e.ID <= last || c.IDs[0] != k.Key.ID.String() || c.Ack != (c.Kind == wire.Forget) {
				t.Fatalf("listener %d: change %d after %d: %+v", i, e.ID, last, c)
			}
			last = e.ID
		}
	}
	// One read for each notification, and one a second without any.
	most := 2*rounds + int64(time.Since(began)/time.Second) + 2
	if n := r.reads.Load() - before; n > most {
		t.Errorf("%d reads for %d changes and %d listeners", n, 2*rounds, len(all))
	}
	if n := metric(t, r.hub, "latchkey_edgeapi_log_reads_total", ""); n != 0 {
		t.Errorf("the log was read %v times for listeners that are up to date", n)
	}
	if n := metric(t, r.hub, "latchkey_edgeapi_listeners", ""); n != 60 {
		t.Errorf("%v listeners", n)
	}
}

func TestASlowListenerIsCutOffAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	hasty := func(o *edgeapi.Options) { // its write deadlines are half a second away
		o.Now = func() time.Time { return time.Now().Add(-4500 * time.Millisecond) }
	}
	r := start(t, pgtest.DSN(t), "127.0.0.1:0", hasty)
	token := r.token(t, access.EdgeConnect).Secret.Reveal()
	quick, _ := r.listen(t, token, wire.Position{})
	next(t, quick, wire.EventHead)

	slow := must[net.Conn](t)(new(net.Dialer).DialContext(t.Context(), "tcp", r.addr))
	defer slow.Close()
	must[int](t)(fmt.Fprintf(slow, "GET %s?%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nLatchkey-Edge: 1\r\n\r\n", wire.ChangesPath,
		wire.ChangesQuery(wire.Gateway{Instance: uuid.NewString(), Name: "slow"}, wire.Position{}).Encode(), token))
	eventually(t, "both listen", func() bool { return metric(t, r.hub, "latchkey_edgeapi_listeners", "") == 2 })

	// More than the kernel's buffers take: some 12 MB in 6,000 changes.
	id, worst := strings.Repeat("x", 2000), time.Duration(0)
	const changes, first = 6000, 1_000_000
	for n := range int64(changes) {
		began := time.Now()
		r.hub.Apply(journal.Change{Number: first + n, IDs: []string{id}, Forget: true})
		worst = max(worst, time.Since(began))
		if n%500 == 0 {
			next(t, quick, wire.EventChange) // the quick one keeps up meanwhile
		}
	}
	got := make(map[int64]bool)
	eventually(t, "the slow one is cut off", func() bool {
		return metric(t, r.hub, "latchkey_edgeapi_stream_ends_total", "slow") == 1
	})
	for e := next(t, quick, wire.EventChange); ; e = next(t, quick, wire.EventChange) {
		got[e.ID] = true
		if e.ID == first+changes-1 {
			break
		}
	}
	if len(got)+changes/500 != changes {
		t.Errorf("the quick one heard %d of %d changes", len(got)+changes/500, changes)
	}
	if worst > 250*time.Millisecond {
		t.Errorf("telling one change took up to %s", worst)
	}
}

func TestWhatAPlaceInTheLogIsWorth(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn, "127.0.0.1:0")
	token := r.token(t, access.EdgeConnect).Secret.Reveal()
	k := r.issue(t)
	for range 3 {
		must[keys.Key](t)(r.keys.Disable(t.Context(), access.CLI("test"), k.Key.ID))
		must[keys.Key](t)(r.keys.Enable(t.Context(), access.CLI("test"), k.Key.ID))
	}
	head := must[journal.Head](t)(r.db.Head(t.Context()))
	cutoff := must[int](t)(r.db.Gateways().Prune(t.Context(), time.Now().Add(time.Hour), 3)) // the log begins after the third change
	if cutoff != 3 {
		t.Fatalf("%d changes were dropped", cutoff)
	}
	fresh := start(t, dsn, "127.0.0.1:0") // its ring is empty
	for name, test := range map[string]struct {
		place wire.Position
		event string
		id    int64
	}{
		"none":               {wire.Position{}, wire.EventReset, 0},
		"the head":           {wire.Position{After: head.Number, Epoch: head.Epoch}, wire.EventHead, 0},
		"in the log":         {wire.Position{After: head.Number - 2, Epoch: head.Epoch}, wire.EventChange, head.Number - 1},
		"before the log":     {wire.Position{After: 1, Epoch: head.Epoch}, wire.EventReset, 0},
		"after the log":      {wire.Position{After: head.Number + 1, Epoch: head.Epoch}, wire.EventReset, 0},
		"in another history": {wire.Position{After: head.Number, Epoch: uuid.NewString()}, wire.EventReset, 0},
	} {
		t.Run(name, func(t *testing.T) {
			events, stop := fresh.listen(t, token, test.place)
			defer stop()
			e := <-events
			if e.Name != test.event || e.ID != test.id {
				t.Fatalf("the first event is %s %d, want %s %d", e.Name, e.ID, test.event, test.id)
			}
			if e.Name == wire.EventReset {
				h := must[wire.Head](t)(wire.DecodeHead(e.Data))
				if h.Number != head.Number || h.Epoch != head.Epoch || len(h.Prefixes) != 1 {
					t.Errorf("reset to %+v", h)
				}
			}
		})
	}
}

// What a restored backup looks like, while gateways listen.
func TestAnotherHistoryIsAReset(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	r := start(t, dsn, "127.0.0.1:0")
	k := r.issue(t)
	g := connect(t, "gateway", r.token(t, access.EdgeConnect).Secret.Reveal(), budget, r.addr)
	g.cached(t, k)
	execute(t, dsn, "UPDATE journal_head SET epoch = gen_random_uuid()")
	execute(t, dsn, "UPDATE keys SET revoked_at = now() WHERE kind = 'api'") // as the backup has it: no change tells
	r.issue(t)                                                               // any entry wakes nobody, but the head is read each second
	eventually(t, "it forgets everything", func() bool { return g.count(t, "resets_total", "") == 2 })
	eventually(t, "and looks up anew", func() bool { return g.judge(t, k).String() == "REVOKED" })
}
