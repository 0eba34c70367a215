package edge

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/wire"
)

// Whatever stands in the control plane's place, no answer of its admits.
func TestNothingBrokenAdmits(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	good := string(goodRecord(1))
	for name, records := range map[string]http.HandlerFunc{
		"500": answer(500, `{"records":[`+good+`]}`),
		"404": answer(404, `{"records":[`+good+`]}`),
		"401": answer(401, `{}`),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"nothing":             answer(200, ``),
		"garbage":             answer(200, `<html>200 OK</html>`),
		"half a body":         answer(200, `{"records":[`+good[:len(good)/2]),
		"a body and more":     answer(200, `{"records":[`+good+`]}`+`{"records":[]}`),
		"no records":          answer(200, `{}`),
		"too few":             answer(200, `{"records":[]}`),
		"too many":            answer(200, `{"records":[`+good+`,`+good+`]}`),
		"undecided":           answer(200, `{"records":[null]}`),
		"a torn record":       answer(200, `{"records":[{"v":1,"found":true,"epoch":"e","change":1}]}`),
		"of another version":  answer(200, `{"records":[`+strings.Replace(good, `"v":1`, `"v":2`, 1)+`]}`),
		"needs something new": answer(200, `{"records":[`+strings.Replace(good, `"needs":[]`, `"needs":["moon"]`, 1)+`]}`),
		"too large":           answer(200, `{"records":[`+good+`]}`+strings.Repeat(" ", wire.MaxAnswer)),
		"of a stranger": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Del(wire.Header)
			_, _ = w.Write([]byte(`{"records":[` + good + `]}`))
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9999")
			_, _ = w.Write([]byte(`{"records":[` + good + `]}`))
			panic(http.ErrAbortHandler)
		},
		"hangs": func(_ http.ResponseWriter, r *http.Request) { hang(r) },
		"hangs half-way": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"records":[` + good))
			_ = http.NewResponseController(w).Flush()
			hang(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newControlPlane(t, func(c *controlPlane) { c.records = records })
			e := run(t, nil, c.URL)
			eventually(t, "the feed is heard", func() bool { return e.Prefixes() != nil })
			for range 3 {
				if code := judge(t, e, 1); code != apikey.Undecided {
					t.Fatalf("it answers %s", code)
				}
			}
		})
	}
}

// hang waits until the client is gone, which net/http notices only once the body
// was read.
func hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// A feed that is not one never makes cached records count.
func TestABrokenFeedIsNotBelieved(t *testing.T) {
	t.Parallel()
	head := wire.Head{Number: 5, Epoch: "e", Prefixes: []string{"lk"}}
	reset, beat := string(event(wire.EventReset, 0, head)), string(event(wire.EventHead, 0, head))
	older := string(event(wire.EventHead, 0, wire.Head{Number: 4, Epoch: "e"}))
	strange := string(event(wire.EventHead, 0, wire.Head{Number: 9, Epoch: "f"}))
	change := string(event(wire.EventChange, 5, wire.Change{IDs: []string{"key_1"}, Kind: wire.Forget}))
	for name, stream := range map[string]string{
		"nothing":                "",
		"comments alone":         ":\n\n:\n\n",
		"a head of no history":   beat,
		"a change of no history": change,
		"a reset alone":          reset,
		"an older head":          reset + older,
		"a head of another":      reset + strange,
		"a change told before":   reset + change,
		"half a head":            reset + beat[:len(beat)-1],
		"garbage":                reset + "event: head\ndata: {\"number\":9\n\n" + beat,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newControlPlane(t, func(c *controlPlane) {
				c.changes = func(w http.ResponseWriter, r *http.Request) {
					_, _ = w.Write([]byte(stream))
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
				}
			})
			e := run(t, nil, c.URL)
			eventually(t, "a look-up decides all the same", func() bool { return judge(t, e, 1) == apikey.Valid })
			before := c.asked.Load()
			for range 5 { // each costs a look-up: nothing cached counts
				judge(t, e, 1)
			}
			if n := c.asked.Load() - before; n != 5 {
				t.Errorf("%d look-ups for 5 requests", n)
			}
		})
	}
}

func TestLookUpsThatWaitGoTogether(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	c := newControlPlane(t, func(c *controlPlane) {
		c.records = func(w http.ResponseWriter, r *http.Request) {
			<-hold
			c.answerRecords(w, r)
		}
	})
	t.Cleanup(release)
	e := run(t, func(c *Config) { c.Validator.LookupTimeout, c.Validator.Lookups = 20*time.Second, 200 }, c.URL)
	eventually(t, "the feed is heard", func() bool { return e.Prefixes() != nil })
	var clients sync.WaitGroup
	for n := range 100 {
		clients.Go(func() {
			if code := judge(t, e, n); code != apikey.Valid {
				t.Errorf("key %d: %s", n, code)
			}
		})
	}
	eventually(t, "all wait", func() bool { return gauge(t, e, "latchkey_validator_waiting") == 100 })
	release()
	clients.Wait()
	if calls := c.calls.Load(); calls > 2*lookupCalls {
		t.Errorf("%d calls for 100 look-ups", calls)
	}
}

func TestAnotherAddressIsTriedWhenOneFails(t *testing.T) {
	t.Parallel()
	for name, spoiled := range map[string]http.HandlerFunc{
		"fails": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"hangs": func(_ http.ResponseWriter, r *http.Request) { hang(r) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := newControlPlane(t, func(c *controlPlane) { c.records, c.changes, c.heartbeat = spoiled, spoiled, spoiled })
			good := newControlPlane(t, nil)
			e := run(t, nil, "http://127.0.0.1:1", bad.URL, good.URL)
			if code := judge(t, e, 1); code != apikey.Valid { // within the time of one look-up
				t.Errorf("it answers %s", code)
			}
			eventually(t, "the feed is heard", func() bool { return e.Prefixes() != nil })
		})
	}
}

func TestTheTokenMayComeLater(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	c := newControlPlane(t, nil) // fails the test when it is called with another token
	e := run(t, func(c *Config) { c.Token, c.TokenFile = "", file }, c.URL)
	if code := judge(t, e, 1); code != apikey.Undecided || e.Prefixes() != nil {
		t.Errorf("without a token: %s, %v", code, e.Prefixes())
	}
	for _, text := range []string{"", "two words", strings.Repeat("x", maxToken+1), testToken + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the feed is heard", func() bool { return e.Prefixes() != nil })
	if code := judge(t, e, 1); code != apikey.Valid {
		t.Errorf("with a token: %s", code)
	}
}

func TestWhatIsNoConfiguration(t *testing.T) {
	t.Parallel()
	notPEM := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(notPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*Config)
		want   string // of the error; "": it is a configuration
	}{
		"https":                  {func(c *Config) { c.URLs = "https://keys.example.com/latchkey, https://b.example.com" }, ""},
		"http to this machine":   {func(c *Config) { c.URLs = "http://localhost:8080,http://127.0.0.1:1,http://[::1]:1" }, ""},
		"http, allowed":          {func(c *Config) { c.URLs, c.AllowHTTP = "http://keys.internal:8080", true }, ""},
		"http to elsewhere":      {func(c *Config) { c.URLs = "https://a.example.com,http://keys.internal" }, "https to keys.internal"},
		"no address":             {func(c *Config) { c.URLs = " , " }, "no address"},
		"another scheme":         {func(c *Config) { c.URLs = "ftp://keys.example.com" }, "addresses such as"},
		"a password in it":       {func(c *Config) { c.URLs = "https://u:hunter2@keys.example.com" }, "addresses such as"},
		"no token":               {func(c *Config) { c.Token = "" }, "a token"},
		"two tokens":             {func(c *Config) { c.TokenFile = "f" }, "a token"},
		"no name":                {func(c *Config) { c.Gateway = "" }, "a gateway name"},
		"no clock":               {func(c *Config) { c.Now = nil }, "a clock"},
		"certificates not there": {func(c *Config) { c.CAFile = notPEM + "x" }, "certificates"},
		"no certificates":        {func(c *Config) { c.CAFile = notPEM }, "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Config{URLs: "https://keys.example.com", Token: testToken, Gateway: "g", Now: time.Now}
			c.Validator.CacheMB = 1
			test.change(&c)
			_, err := New(c)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			case err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), testToken)):
				t.Errorf("a secret is repeated: %v", err)
			}
		})
	}
}

func TestItsFiguresCanBeGathered(t *testing.T) {
	t.Parallel()
	c := newControlPlane(t, nil)
	e := run(t, nil, c.URL)
	eventually(t, "the first heartbeat", func() bool { return c.beats.Load() > 0 })
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(e)
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}
