package edgeapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/edgeapi"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

func execute(t testing.TB, dsn, sql string) {
	t.Helper()
	conn := must[*pgx.Conn](t)(pgx.Connect(t.Context(), dsn))
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestWhoMayCallAndHow(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t), "127.0.0.1:0")
	token := r.token(t, access.EdgeConnect).Secret.Reveal()
	reader := r.token(t, access.KeysRead).Secret.Reveal()
	ordinary := r.issue(t).Secret.Reveal()
	self := `"instance":"` + uuid.NewString() + `","gateway":"g","version":"1","stale_budget_ms":1000,"applied":3,"epoch":"e"`
	print := strings.Repeat("0f", 32)
	many := `{"fingerprints":["` + strings.Repeat(print+`","`, 256) + print + `"]}`
	for name, test := range map[string]struct {
		method, path, bearer, body string
		status                     int
		code                       string
	}{
		"heartbeat":            {"POST", wire.HeartbeatPath, token, `{` + self + `}`, 204, ""},
		"of a newer gateway":   {"POST", wire.HeartbeatPath, token, `{` + self + `,"new":{"a":1}}`, 204, ""},
		"goodbye":              {"POST", wire.HeartbeatPath, token, `{` + self + `,"leaving":true}`, 204, ""},
		"records":              {"POST", wire.RecordsPath, token, `{"fingerprints":["` + print + `"]}`, 200, ""},
		"usage":                {"POST", wire.UsagePath, token, `{"uses":[{"key_id":"key_1","last_used_at":"2026-01-01T00:00:00Z","last_used_ip":"192.0.2.1"}]}`, 204, ""},
		"usage, unknown where": {"POST", wire.UsagePath, token, `{"uses":[{"key_id":"` + strings.Repeat("k", 9999) + `","last_used_at":"0000-01-01T00:00:00+14:00"}]}`, 204, ""},
		"usage of a newer one": {"POST", wire.UsagePath, token, `{"uses":[{"key_id":"key_1","last_used_at":"2026-01-01T00:00:00Z","requests":7}],"batch":"b"}`, 204, ""},
		"no usage":             {"POST", wire.UsagePath, token, `{}`, 204, ""},
		"too much usage":       {"POST", wire.UsagePath, token, `{"uses":[` + strings.Repeat("{},", wire.MaxUses) + `{}]}`, 422, "INVALID_VALUE"},
		"usage of no time":     {"POST", wire.UsagePath, token, `{"uses":[{"key_id":"key_1","last_used_at":"now"}]}`, 422, "INVALID_VALUE"},
		"usage of a reader":    {"POST", wire.UsagePath, reader, `{}`, 403, "FORBIDDEN"},
		"no key":               {"POST", wire.HeartbeatPath, "", `{` + self + `}`, 401, "UNAUTHENTICATED"},
		"a key of no kind":     {"POST", wire.RecordsPath, "nonsense", `{}`, 401, "MALFORMED"},
		"an ordinary key":      {"POST", wire.RecordsPath, ordinary, `{}`, 401, "KEY_NOT_FOUND"},
		"without edge:connect": {"POST", wire.RecordsPath, reader, `{}`, 403, "FORBIDDEN"},
		"no fingerprints":      {"POST", wire.RecordsPath, token, `{"fingerprints":[]}`, 422, "INVALID_VALUE"},
		"too many":             {"POST", wire.RecordsPath, token, many, 422, "INVALID_VALUE"},
		"no fingerprint":       {"POST", wire.RecordsPath, token, `{"fingerprints":["0f"]}`, 422, "INVALID_VALUE"},
		"half a body":          {"POST", wire.RecordsPath, token, `{"fingerprints":["0f`, 400, "MALFORMED_REQUEST"},
		"no instance":          {"POST", wire.HeartbeatPath, token, `{"gateway":"g"}`, 422, "INVALID_VALUE"},
		"stream of nobody":     {"GET", wire.ChangesPath, token, "", 422, "INVALID_VALUE"},
		"stream after -1":      {"GET", wire.ChangesPath + "?after=-1", token, "", 422, "INVALID_VALUE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var problem struct{ Code string }
			var out any = &problem
			if test.status == http.StatusNoContent {
				out = nil
			}
			response := r.call(t, test.method, test.path, test.bearer, test.body, out)
			if response.StatusCode != test.status || problem.Code != test.code || !wire.Speaks(response.Header) {
				t.Errorf("%s %q %v, want %d %q", response.Status, problem.Code, response.Header, test.status, test.code)
			}
		})
	}
}

func TestAStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t), "127.0.0.1:0")
	revoked, disabled, narrowed := r.token(t, access.EdgeConnect), r.token(t, access.EdgeConnect), r.token(t, access.All)
	stays := r.token(t, access.EdgeConnect)
	root := access.CLI("test")
	for name, end := range map[string]struct {
		key keys.Issued
		act func() (keys.Key, error)
	}{
		"revoked":  {revoked, func() (keys.Key, error) { return r.keys.Revoke(t.Context(), root, revoked.Key.ID, "") }},
		"disabled": {disabled, func() (keys.Key, error) { return r.keys.Disable(t.Context(), root, disabled.Key.ID) }},
		"narrowed": {narrowed, func() (keys.Key, error) {
			var p keys.Patch
			p.Scopes.Present, p.Scopes.Value = true, []string{string(access.KeysRead)}
			return r.keys.Update(t.Context(), root, narrowed.Key.ID, p)
		}},
	} {
		events, _ := r.listen(t, end.key.Secret.Reveal(), wire.Position{})
		next(t, events, wire.EventHead)
		must[keys.Key](t)(end.act())
		eventually(t, name+": the stream ends", func() bool {
			for {
				select {
				case _, open := <-events:
					if !open {
						return true
					}
				default:
					return false
				}
			}
		})
	}
	if n := metric(t, r.hub, "latchkey_edgeapi_stream_ends_total", "key"); n != 3 {
		t.Errorf("%v streams ended with their key", n)
	}
	events, _ := r.listen(t, stays.Secret.Reveal(), wire.Position{})
	next(t, events, wire.EventHead)
}

func TestStreamsAreSpreadAnewByTheirLifetime(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t), "127.0.0.1:0", func(o *edgeapi.Options) { o.Lifetime = 200 * time.Millisecond })
	g := connect(t, "gateway", r.token(t, access.EdgeConnect).Secret.Reveal(), budget, r.addr)
	eventually(t, "it resumes", func() bool { return metric(t, r.hub, "latchkey_edgeapi_stream_ends_total", "lifetime") > 3 })
	if n := g.count(t, "resets_total", ""); n != 1 {
		t.Errorf("%v resets", n)
	}
	if n := g.count(t, "feed_ends_total", "ended"); n < 3 {
		t.Errorf("%v streams ended in order", n)
	}
}

// The server's deadlines are for requests; the tests' server reads for a second.
func TestAStreamOutlivesTheServersDeadlines(t *testing.T) {
	t.Parallel()
	r := start(t, pgtest.DSN(t), "127.0.0.1:0")
	events, _ := r.listen(t, r.token(t, access.EdgeConnect).Secret.Reveal(), wire.Position{})
	for range 4 { // a second apart
		next(t, events, wire.EventHead)
	}
}

// poisoned fails for one fingerprint, by error or by panic.
type poisoned struct {
	validator.Source
	errs, panics apikey.Fingerprint
}

func (s *poisoned) Lookup(ctx context.Context, f apikey.Fingerprint) (validator.Answer, error) {
	switch f {
	case s.errs:
		return validator.Answer{}, errors.New("a row that cannot be read")
	case s.panics:
		panic("a row that nobody thought of")
	}
	return s.Source.Lookup(ctx, f)
}

func TestARecordThatCannotBeReadTakesNoOtherDown(t *testing.T) {
	t.Parallel()
	source := &poisoned{}
	r := start(t, pgtest.DSN(t), "127.0.0.1:0", func(o *edgeapi.Options) { source.Source, o.Source = o.Source, source })
	token := r.token(t, access.EdgeConnect).Secret.Reveal()
	good := r.issue(t)
	bad, worse, none := apikey.FingerprintOf("bad"), apikey.FingerprintOf("worse"), apikey.FingerprintOf("none")
	source.errs, source.panics = bad, worse
	ask := func(prints ...apikey.Fingerprint) (int, []*struct{ Found bool }) {
		var answer struct{ Records []*struct{ Found bool } }
		var quoted []string
		for _, p := range prints {
			quoted = append(quoted, fmt.Sprintf("%q", p))
		}
		response := r.call(t, http.MethodPost, wire.RecordsPath, token, `{"fingerprints":[`+strings.Join(quoted, ",")+`]}`, &answer)
		return response.StatusCode, answer.Records
	}
	status, got := ask(bad, good.Secret.Fingerprint(), worse, none)
	if status != http.StatusOK || len(got) != 4 || got[0] != nil || got[2] != nil || !got[1].Found || got[3].Found {
		t.Errorf("%d %v", status, got)
	}
	if status, _ := ask(bad, worse); status != http.StatusServiceUnavailable {
		t.Errorf("nothing could be read: %d", status)
	}
}
