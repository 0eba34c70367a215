package edge

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

// away is the address of a control plane that is not there.
const away = "http://127.0.0.1:1"

// gate is one process of a gateway with a snapshot.
type gate struct {
	*Edge
	stop func() // in order, and waits; may be called twice

	mu    sync.Mutex
	notes []string
}

// gateAt starts a process.
func gateAt(t testing.TB, path, url string, change func(*Config)) *gate {
	t.Helper()
	g := &gate{}
	g.Edge = newEdge(t, url, func(c *Config) {
		c.Snapshot, c.saveEvery = path, 20*time.Millisecond
		c.Note = func(line string) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.notes = append(g.notes, line)
		}
		if change != nil {
			change(c)
		}
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(g.stop)
	return g
}

func newEdge(t testing.TB, url string, change func(*Config)) *Edge {
	t.Helper()
	c := Config{
		URLs: url, Token: testToken, Gateway: "gateway", Version: "1", Now: time.Now,
		Validator: validator.Config{CacheMB: 1, StaleBudget: time.Minute, MissRate: 1e6, MissBurst: 1e6, LookupTimeout: 100 * time.Millisecond},
	}
	if change != nil {
		change(&c)
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (g *gate) noted(part string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.notes, func(n string) bool { return strings.Contains(n, part) })
}

func (g *gate) becomes(t testing.TB, want apikey.Code) {
	t.Helper()
	eventually(t, "it answers "+want.String(), func() bool { return judge(t, g.Edge, 1) == want })
}

// caches waits until the answer is cached: before the feed is heard it is not.
func (g *gate) caches(t testing.TB, want apikey.Code) {
	t.Helper()
	eventually(t, "it has cached "+want.String(), func() bool {
		code, kept := judge(t, g.Edge, 1), 0
		if _, records, ok := g.Validator().Save(); ok {
			for range records {
				kept++
			}
		}
		return code == want && kept > 0
	})
}

// saves waits until a save that began after now has been made.
func (g *gate) saves(t testing.TB) {
	t.Helper()
	g.snapshot.disk.Lock()
	before := g.snapshot.own
	g.snapshot.disk.Unlock()
	for range 2 { // one may be under way
		eventually(t, "a save", func() bool {
			g.snapshot.disk.Lock()
			defer g.snapshot.disk.Unlock()
			now := g.snapshot.own
			return now != nil && now != before
		})
		g.snapshot.disk.Lock()
		before = g.snapshot.own
		g.snapshot.disk.Unlock()
	}
}

// crashed returns the file as it is now, in another folder: what a process finds
// whose predecessor was killed at this moment.
func crashed(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(copied, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

func TestAnEndThatLeavesASnapshot(t *testing.T) {
	t.Parallel()
	h, path := newHistory(), filepath.Join(t.TempDir(), "snapshot")
	c := h.serve(t)
	first := gateAt(t, path, c.URL, func(c *Config) { c.saveEvery = time.Hour })
	first.caches(t, apikey.Valid)
	first.stop()
	if gone := h.left(); len(gone) != 0 {
		t.Errorf("%v said goodbye and may come back", gone)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte(testToken)) || bytes.Contains(b, []byte("key 1")) {
		t.Errorf("%v, or a secret in the file", err)
	}

	clock := &moved{}
	second := gateAt(t, path, away, func(c *Config) { c.Now = clock.now })
	second.becomes(t, apikey.Valid)
	if code := judge(t, second.Edge, 2); code != apikey.Undecided {
		t.Errorf("a key that was not cached: %s", code)
	}
	if n := valueOf(t, second.counts.loaded); n != 1 || second.Prefixes() == nil {
		t.Errorf("%v records, prefixes %v", n, second.Prefixes())
	}
	clock.ahead(time.Minute)
	if code := judge(t, second.Edge, 1); code != apikey.Undecided {
		t.Errorf("after the budget: %s", code)
	}
	second.stop() // has nothing newer to save

	third := gateAt(t, path, c.URL, nil)
	third.becomes(t, apikey.Valid)
	eventually(t, "the first is taken off the list", func() bool { return slices.Equal(h.left(), []string{first.snapshot.self.Instance}) })
	if at := h.opened(); at[len(at)-1] != (wire.Position{After: 9, Epoch: "e"}) || valueOf(t, third.counts.resets) != 0 {
		t.Errorf("it did not go on: %v", at)
	}
}

// What was revoked is refused by whoever comes next, whether or not the control
// plane is there, from the moment on at which the revocation was confirmed.
func TestARevokedKeyIsNotInASnapshot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		everySave time.Duration
		after     apikey.Code // at the next process, while the control plane is away
	}{
		"saved since":     {5 * time.Millisecond, apikey.Undecided},
		"not saved since": {time.Hour, apikey.Undecided},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, path := newHistory(), filepath.Join(t.TempDir(), "snapshot")
			c := h.serve(t)
			seed := gateAt(t, path, c.URL, nil)
			seed.caches(t, apikey.Valid)
			seed.saves(t)
			seed.stop()
			g := gateAt(t, path, c.URL, func(c *Config) { c.saveEvery = test.everySave })
			eventually(t, "the file is its own", func() bool { return len(h.left()) == 1 })
			change := h.revoke()
			eventually(t, "the revocation is confirmed", func() bool { return h.confirmed(change) })
			next := gateAt(t, crashed(t, path), away, nil)
			eventually(t, "the file is used", func() bool { return next.noted("records that were good") })
			if code := judge(t, next.Edge, 1); code != test.after {
				t.Errorf("it answers %s", code)
			}
			g.stop()
		})
	}
}

func TestARevocationWhileTheGatewayWasDown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		meanwhile func(h *history)
		resets    float64
	}{
		"the feed goes on":  {func(h *history) { h.revoke() }, 0},
		"a restored backup": {(*history).restore, 1},
		"it missed more":    {func(h *history) { h.revoke(); h.revoke() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, path := newHistory(), filepath.Join(t.TempDir(), "snapshot")
			c := h.serve(t)
			first := gateAt(t, path, c.URL, nil)
			first.caches(t, apikey.Valid)
			first.saves(t)
			first.stop()
			test.meanwhile(h)
			next := gateAt(t, path, c.URL, nil)
			eventually(t, "it follows", func() bool { return valueOf(t, next.counts.connected) == 1 && h.confirmed(1) })
			next.caches(t, apikey.Disabled)
			if n := valueOf(t, next.counts.resets); n != test.resets {
				t.Errorf("%v resets", n)
			}
			next.saves(t)
			next.stop()
			after := gateAt(t, path, away, nil)
			after.becomes(t, apikey.Disabled) // the newer record was saved
		})
	}
}

// Of two processes at one file the second waits for the first to end.
func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	h, path := newHistory(), filepath.Join(t.TempDir(), "snapshot")
	first := gateAt(t, path, h.serve(t).URL, nil)
	first.caches(t, apikey.Valid)
	first.saves(t)
	second := gateAt(t, path, away, nil)
	eventually(t, "the second says why it waits", func() bool { return second.noted("another process uses it") })
	if code := judge(t, second.Edge, 1); code != apikey.Undecided {
		t.Errorf("it answers %s", code)
	}
	first.stop()
	second.becomes(t, apikey.Valid)
}

// Where the disk fails, nothing is confirmed that the file does not know of.
func TestADiskThatFails(t *testing.T) {
	t.Parallel()
	setUp := func(t *testing.T) (*gate, *history, *moved, string) {
		h, path, clock := newHistory(), filepath.Join(t.TempDir(), "snapshot"), &moved{}
		g := gateAt(t, path, h.serve(t).URL, func(c *Config) { c.Now = clock.now })
		g.caches(t, apikey.Valid)
		g.saves(t)
		g.stop()
		g = gateAt(t, path, h.serve(t).URL, func(c *Config) { c.Now, c.saveEvery = clock.now, time.Hour })
		eventually(t, "the file is its own", func() bool { return len(h.left()) == 1 })
		g.snapshot.disk.Lock()
		_ = g.snapshot.own.file.Close() // nothing can be added any more
		g.snapshot.disk.Unlock()
		return g, h, clock, path
	}
	t.Run("the file is given up", func(t *testing.T) {
		t.Parallel()
		g, h, _, path := setUp(t)
		change := h.revoke()
		eventually(t, "the revocation is confirmed", func() bool { return h.confirmed(change) })
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file that does not know of it is left: %v", err)
		}
		g.becomes(t, apikey.Disabled)
	})
	t.Run("it cannot even be removed", func(t *testing.T) {
		t.Parallel()
		g, h, clock, path := setUp(t)
		if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "in the way"), 0o700)); err != nil {
			t.Fatal(err)
		}
		change := h.revoke()
		g.becomes(t, apikey.Disabled)
		eventually(t, "it says so", func() bool { return g.noted("cannot be taken back") })
		if err := g.snapshot.settle(); !errors.Is(err, errSnapHeld) || h.confirmed(change) {
			t.Errorf("%v, confirmed: %v", err, h.confirmed(change))
		}
		clock.ahead(time.Minute) // by now nobody would use it
		eventually(t, "the revocation is confirmed", func() bool { return h.confirmed(change) })
	})
}
