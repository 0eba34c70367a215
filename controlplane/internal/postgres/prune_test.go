package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// history is a log of six events, of which the first three were pruned, with the
// heads as they were logged.
type history struct {
	*house
	audit *journal.Audit
	conn  *pgx.Conn
	heads []journal.Head // heads[n] is the head when n was the last
}

func pruned(t *testing.T) *history {
	t.Helper()
	dsn := pgtest.DSN(t)
	h := &history{house: furnish(t, dsn), heads: make([]journal.Head, 1)}
	h.audit = audit(h.house)
	h.conn = must[*pgx.Conn](t)(pgx.Connect(t.Context(), dsn))
	t.Cleanup(func() { _ = h.conn.Close(context.Background()) })
	var between time.Time
	for i := range 6 {
		if i == 3 {
			between = time.Now()
		}
		h.issue(t, fmt.Sprint("key ", i))
		h.heads = append(h.heads, must[journal.Head](t)(h.db.Head(t.Context())))
	}
	got := must[journal.Pruned](t)(h.audit.Prune(t.Context(), root(), between))
	if got != (journal.Pruned{Rows: 3, Through: 3}) {
		t.Fatalf("%+v", got)
	}
	h.heads = append(h.heads, must[journal.Head](t)(h.db.Head(t.Context())))
	return h
}

func (h *history) verify(t *testing.T, seen journal.Head) journal.Report {
	t.Helper()
	return must[journal.Report](t)(h.audit.Verify(t.Context(), root(), seen))
}

func (h *history) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := h.conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func TestAPrunedLogIsStillProven(t *testing.T) {
	t.Parallel()
	h := pruned(t)
	report := h.verify(t, journal.Head{})
	if report.Broken != 0 || report.Rows != 4 || report.Head.Number != 7 || report.Checkpoint == nil || report.Checkpoint.Number != 3 || report.Checkpoint.Actor.Kind != access.ActorCLI {
		t.Fatalf("%+v", report)
	}
	events := must[[]journal.Event](t)(h.audit.Events(t.Context(), root(), journal.Query{Action: "audit.*", Limit: 9}))
	if len(events) != 1 || events[0].Number != 7 || !strings.Contains(string(events[0].After), `"rows":3`) || !strings.Contains(string(events[0].After), `"through":3`) {
		t.Errorf("the prune in the log: %+v", events)
	}
	if again := must[journal.Pruned](t)(h.audit.Prune(t.Context(), root(), time.Unix(0, 0))); again.Rows != 0 || h.verify(t, journal.Head{}).Head.Number != 7 {
		t.Error("pruning nothing left something")
	}
	all := must[journal.Pruned](t)(h.audit.Prune(t.Context(), root(), time.Now()))
	if report = h.verify(t, journal.Head{}); all.Rows != 4 || report.Broken != 0 || report.Rows != 1 || report.Checkpoint.Number != 7 {
		t.Errorf("everything pruned: %+v, %+v", all, report)
	}
	for name, test := range map[string]struct {
		caller access.Caller
		before time.Time
		kind   fault.Kind
	}{
		"by an admin":   {access.Caller{Scopes: access.Admin.Scopes()}, time.Now(), fault.Forbidden},
		"in the future": {root(), time.Now().Add(time.Hour), fault.Invalid},
	} {
		if _, err := h.audit.Prune(t.Context(), test.caller, test.before); !fault.Is(err, test.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever can write to the database, but has no SECRET_KEY, cannot pass a removal
// off as pruning; nor prune a log that is broken.
func TestAForgedCheckpointIsFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sql    string
		broken int64
	}{
		"removed":              {"DELETE FROM audit_checkpoint", 1},
		"emptied":              {"UPDATE audit_checkpoint SET text = '', seal = ''", 1},
		"its text altered":     {"UPDATE audit_checkpoint SET text = replace(text, '\"number\":3', '\"number\":4')", 1},
		"without a seal":       {"UPDATE audit_checkpoint SET seal = ''", 1},
		"sealed by a row's":    {"UPDATE audit_checkpoint SET text = entry, seal = mac FROM audit_events WHERE number = 4", 1},
		"more removed":         {"DELETE FROM audit_events WHERE number = 4", 4},
		"rows put back":        {"INSERT INTO audit_events SELECT 2, gen_random_uuid(), at, actor_kind, actor_id, action, target_kind, target_id, entry, mac, request_id FROM audit_events WHERE number = 4", 2},
		"a time altered":       {"UPDATE audit_events SET at = at - interval '1 day' WHERE number = 5", 5},
		"a request altered":    {"UPDATE audit_events SET request_id = 'X' WHERE number = 5", 5},
		"head moved back":      {"UPDATE journal_head SET number = 6, mac = (SELECT mac FROM audit_events WHERE number = 6)", 7},
		"all of it removed":    {"DELETE FROM audit_events", 4},
		"the entry of pruning": {"DELETE FROM audit_events WHERE number = 7", 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := pruned(t)
			h.exec(t, test.sql)
			if report := h.verify(t, journal.Head{}); report.Broken != test.broken || report.Why == "" {
				t.Errorf("broken at %d (%s), want %d", report.Broken, report.Why, test.broken)
			}
			if _, err := h.audit.Prune(t.Context(), root(), time.Now()); !fault.Is(err, fault.Conflict) {
				t.Errorf("a broken log was pruned: %v", err)
			}
		})
	}
	t.Run("an older one", func(t *testing.T) {
		t.Parallel()
		h := pruned(t)
		var text string
		var seal []byte
		if err := h.conn.QueryRow(t.Context(), "SELECT text, seal FROM audit_checkpoint").Scan(&text, &seal); err != nil {
			t.Fatal(err)
		}
		must[journal.Pruned](t)(h.audit.Prune(t.Context(), root(), time.Now()))
		h.exec(t, "UPDATE audit_checkpoint SET text = $1, seal = $2", text, seal)
		if report := h.verify(t, journal.Head{}); report.Broken != 4 {
			t.Errorf("%+v", report)
		}
	})
}

// A head that was logged proves the tail even against whoever has SECRET_KEY.
func TestASeenHeadProvesTheTail(t *testing.T) {
	t.Parallel()
	h := pruned(t)
	for _, n := range []int{3, 4, 6, 7} { // 3 is what the checkpoint vouches for
		if report := h.verify(t, h.heads[n]); report.Broken != 0 {
			t.Errorf("head %d: %+v", n, report)
		}
		if seen := must[journal.Head](t)(journal.ParseHead(h.heads[n].String())); seen.String() != h.heads[n].String() {
			t.Error(seen)
		}
	}
	if _, err := h.audit.Verify(t.Context(), root(), h.heads[2]); !fault.Is(err, fault.Conflict) {
		t.Errorf("a pruned head: %v", err)
	}
	other := h.heads[5]
	other.MAC = h.heads[4].MAC
	if report := h.verify(t, other); report.Broken != 5 {
		t.Errorf("another log: %+v", report)
	}
	// The tail is cut off so that nothing in the database tells.
	h.exec(t, "DELETE FROM audit_events WHERE number > 5")
	h.exec(t, "UPDATE journal_head SET number = 5, mac = (SELECT mac FROM audit_events WHERE number = 5)")
	if report := h.verify(t, journal.Head{}); report.Broken != 0 {
		t.Errorf("%+v", report)
	}
	if report := h.verify(t, h.heads[7]); report.Broken != 6 {
		t.Errorf("a log whose tail was cut off: %+v", report)
	}
	for _, text := range []string{"", "7", "7:", "7:abc", "0:" + strings.Repeat("0", 64), "7:" + strings.Repeat("0", 63) + "x", "7:" + strings.Repeat("0", 64) + "0", " 7:" + strings.Repeat("0", 64)} {
		if _, err := journal.ParseHead(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Writers and prunes go on while the log is verified, and it is found whole.
func TestVerifyingALogThatLives(t *testing.T) {
	t.Parallel()
	h := pruned(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	var rounds atomic.Int64
	go func() {
		defer close(stopped)
		for {
			report, err := h.audit.Verify(t.Context(), root(), journal.Head{})
			if err != nil || report.Broken != 0 {
				t.Errorf("%+v %v", report, err)
				return
			}
			rounds.Add(1)
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	// It goes on until it was verified in the middle of it.
	for i := 0; (i < 60 || rounds.Load() < 3) && !t.Failed(); i++ {
		h.issue(t, fmt.Sprint("more ", i))
		if i%20 == 10 {
			must[journal.Pruned](t)(audit(h.house).Prune(t.Context(), root(), time.Now()))
		}
	}
	close(stop)
	<-stopped
}
