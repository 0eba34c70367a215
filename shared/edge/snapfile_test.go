package edge

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

// written is the file that a process would write now: n keys of one user, and
// one change since.
func written(t testing.TB, n int, change func(*preamble)) []byte {
	t.Helper()
	now := time.Now()
	p := &preamble{
		Version: "1", Instance: "00000000-0000-4000-8000-000000000001", Position: wire.Position{After: 9, Epoch: "e"},
		Prefixes: []string{"lk"}, Budget: nanoseconds(time.Minute), Heard: nanoseconds(time.Second), Saved: now.UnixNano(),
	}
	if change != nil {
		change(p)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := newSnapWriter(f, testToken)
	if err != nil {
		t.Fatal(err)
	}
	err = w.all(context.Background(), p, func(yield func(validator.Kept) bool) {
		for i := range n {
			if !yield(keptOf(t, i+1)) {
				return
			}
		}
	})
	if err == nil {
		err = w.changes([]validator.Change{{Number: 10, IDs: []string{"another"}, Forget: true}})
	}
	b, err2 := os.ReadFile(f.Name())
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return b
}

func keptOf(t testing.TB, n int) validator.Kept {
	r := apikey.Record{
		Change: 9, DependsOn: apikey.NewStrings(fmt.Sprint("key_", n), "usr_1"),
		Key:  apikey.Key{ID: fmt.Sprint("key_", n), Name: "worker", Environment: apikey.Live, Scopes: apikey.NewStrings("reports:read")},
		User: apikey.User{ID: "usr_1", Name: "Ada"},
	}
	b, err := r.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return validator.Kept{Fingerprint: apikey.FingerprintOf(fmt.Sprint("key ", n)), Record: b}
}

// reading is a process that has just begun, whose control plane is away, and
// which can begin again and again.
type reading struct {
	*Edge
	said []string
}

func newReading(t testing.TB, path string, change func(*Config)) *reading {
	r := &reading{}
	r.Edge = newEdge(t, away, func(c *Config) {
		c.Snapshot, c.Note = path, func(line string) { r.said = append(r.said, line) }
		c.Validator.LookupTimeout = time.Millisecond
		if change != nil {
			change(c)
		}
	})
	t.Cleanup(func() {
		if r.snapshot.lock != nil {
			_ = r.snapshot.lock.Close()
		}
	})
	return r
}

// again begins anew and returns why the file was ignored; "": it was not.
func (r *reading) again() string {
	r.snapshot.read, r.snapshot.said, r.said = false, "", nil
	r.feed.goOn()
	if len(r.said) != 1 {
		return fmt.Sprintf("%d lines: %q", len(r.said), r.said)
	}
	why, ignored := strings.CutPrefix(r.said[0], "snapshot: ignored: ")
	if !ignored {
		return ""
	}
	return why
}

// wantNothing fails the test if anything of an ignored file is used.
func (r *reading) wantNothing(t testing.TB) {
	t.Helper()
	if _, _, ok := r.Validator().Save(); ok || r.feed.at() != (wire.Position{}) || r.Prefixes() != nil {
		t.Fatalf("a file that is ignored counts: %v", r.feed.at())
	}
	if code := judge(t, r.Edge, 1); code != apikey.Undecided {
		t.Fatalf("a file that is ignored decides: %s", code)
	}
}

// Wherever a file is cut off or changed, nothing of it is used, but that the last
// change may be missing whole: it was not confirmed, or it would be there.
func TestADamagedSnapshot(t *testing.T) {
	t.Parallel()
	good := written(t, 2, nil)
	before := written(t, 0, nil) // to know how long the last change is
	last := len(before) - (bytes.LastIndex(before, []byte{1, 0, 0, 0, frameEnd}) + 4 + 1 + 32)
	path := filepath.Join(t.TempDir(), "snapshot")
	r := newReading(t, path, nil)
	try := func(what string, at int, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if why := r.again(); why == "" {
			t.Fatalf("%s at %d of %d: it is used", what, at, len(good))
		}
	}
	for at := range good {
		if at != len(good)-last {
			try("cut off", at, good[:at])
		}
		b := slices.Clone(good)
		b[at] ^= 1 << (at % 8)
		try("another bit", at, b)
		if at%64 == 0 {
			try("a byte less", at, slices.Delete(slices.Clone(good), at, at+1))
			r.wantNothing(t)
		}
	}
	try("a byte more", len(good), append(slices.Clone(good), 0))
	try("twice", len(good), append(slices.Clone(good), good...))
	try("without the end", 0, append(good[:len(good)-last-37:len(good)-last-37], good[len(good)-last:]...))
	r.wantNothing(t)
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if why := r.again(); why != "" || judge(t, r.Edge, 1) != apikey.Valid || r.feed.at() != (wire.Position{After: 10, Epoch: "e"}) {
		t.Errorf("the whole file: %q, %v", why, r.feed.at())
	}
}

func TestASnapshotThatIsNotForThisProcess(t *testing.T) {
	t.Parallel()
	boot, up := uptime()
	for name, test := range map[string]struct {
		file    func(*preamble)
		process func(*Config)
		want    string // "": it is used
	}{
		"good":                  {nil, nil, ""},
		"within the budget":     {func(p *preamble) { p.Saved -= int64(55 * time.Second) }, nil, ""},
		"too old":               {func(p *preamble) { p.Saved -= int64(time.Minute) }, nil, "older than"},
		"heard too long before": {func(p *preamble) { p.Heard = nanoseconds(time.Minute) }, nil, "older than"},
		"a shorter budget now":  {nil, func(c *Config) { c.Validator.StaleBudget = time.Second }, "older than"},
		"a shorter one then":    {func(p *preamble) { p.Budget = nanoseconds(time.Second) }, nil, "older than"},
		"no budget now":         {nil, func(c *Config) { c.Validator.StaleBudget = 0 }, "older than"},
		"of the future":         {func(p *preamble) { p.Saved += int64(time.Minute) }, nil, "the clock went back"},
		"heard after it":        {func(p *preamble) { p.Heard = -1 }, nil, "the clock went back"},
		// The wall clock was set back by as long as the gateway was down.
		"by the machine's own clock": {func(p *preamble) { p.Boot, p.Up = boot, nanoseconds(up-time.Minute) }, nil, "older than"},
		"of a later run":             {func(p *preamble) { p.Boot, p.Up = boot, nanoseconds(up+time.Hour) }, nil, "the clock went back"},
		"of another run":             {func(p *preamble) { p.Boot, p.Up = "another", nanoseconds(up+time.Hour) }, nil, ""},
		"of another program":         {func(p *preamble) { p.Version = "2" }, nil, "another version"},
		"another token":              {nil, func(c *Config) { c.Token += "x" }, "not written with this edge token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "snapshot")
			if err := os.WriteFile(path, written(t, 1, test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			r := newReading(t, path, test.process)
			why := r.again()
			if test.want == "" && (why != "" || judge(t, r.Edge, 1) != apikey.Valid) {
				t.Fatalf("not used: %q", why)
			}
			if test.want != "" {
				if !strings.Contains(why, test.want) {
					t.Errorf("%q, want %q", why, test.want)
				}
				r.wantNothing(t)
			}
			if strings.Contains(fmt.Sprint(r.said), testToken) {
				t.Error("the token is told")
			}
		})
	}
}

// The budget that the control plane was told goes on: a longer one of the new
// process does not prolong it.
func TestTheShorterBudgetCounts(t *testing.T) {
	t.Parallel()
	path, clock := filepath.Join(t.TempDir(), "snapshot"), &moved{}
	if err := os.WriteFile(path, written(t, 1, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newReading(t, path, func(c *Config) { c.Now, c.Validator.StaleBudget = clock.now, time.Hour })
	if why := r.again(); why != "" || judge(t, r.Edge, 1) != apikey.Valid {
		t.Fatal(why)
	}
	clock.ahead(59 * time.Second)
	if code := judge(t, r.Edge, 1); code != apikey.Undecided {
		t.Errorf("after the time by which the control plane counts on it: %s", code)
	}
}

func TestWhatIsNoFile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		make func(path string) error
		want string
	}{
		"nothing":    {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "cut short"},
		"a folder":   {func(path string) error { return os.Mkdir(path, 0o700) }, "no regular file"},
		"a pipe":     {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "no regular file"},
		"too large":  {func(path string) error { f, _ := os.Create(path); defer f.Close(); return f.Truncate(maxSnapshot + 1) }, "too large"},
		"a stranger": {func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("#"), 4096), 0o600) }, "another version"},
		"newer": {func(path string) error {
			b := []byte(snapshotMagic)
			b[len(b)-1]++
			return os.WriteFile(path, b, 0o600)
		}, "another version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "snapshot")
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			r := newReading(t, path, nil)
			if why := r.again(); !strings.Contains(why, test.want) {
				t.Errorf("%q, want %q", why, test.want)
			}
			r.wantNothing(t)
		})
	}
}

// 100,000 records, of one kind and size.
const many = 100_000

func BenchmarkLoad(b *testing.B) {
	path := filepath.Join(b.TempDir(), "snapshot")
	file := written(b, many, func(p *preamble) { p.Saved -= 1 })
	if err := os.WriteFile(path, file, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		r := newReading(b, path, func(c *Config) { c.Validator.CacheMB = 256; c.Validator.StaleBudget = time.Hour })
		r.snapshot.lock = nil
		r.snapshot.read = true
		if _, n, _, err := r.snapshot.take(testToken); err != nil || n != many {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkSave(b *testing.B) {
	e := newEdge(b, away, func(c *Config) { c.Validator.CacheMB, c.Snapshot = 256, filepath.Join(b.TempDir(), "snapshot") })
	l := e.Validator().Load(0)
	for i := range many {
		if err := l.Put(keptOf(b, i)); err != nil {
			b.Fatal(err)
		}
	}
	l.Commit(validator.Head{Number: 9, Epoch: "e"}, 0)
	e.feed.position.Store(&wire.Position{After: 9, Epoch: "e"})
	e.feed.issued([]string{"lk"})
	for b.Loop() {
		e.snapshot.heard = time.Time{}
		if saved, err := e.snapshot.save(b.Context(), time.Minute); err != nil || !saved || e.snapshot.own.records != many {
			b.Fatal(saved, err)
		}
		b.SetBytes(e.snapshot.own.size)
	}
}
