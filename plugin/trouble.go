package main

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// trouble keeps why the control plane cannot be followed, for the process's own
// output, which Kong hides by default, and for Kong's log, where the operator
// looks: there at most once a minute, and only when requests suffer from it.
// Safe for concurrent use.
type trouble struct {
	now func() time.Time
	log *slog.Logger

	mu   sync.Mutex
	err  error
	at   time.Time // of err
	note string    // what became of the snapshot
	told time.Time
}

const (
	freshTrouble = 10 * time.Second // an older error explains nothing
	tellEvery    = time.Minute
)

// failed notes an error. It is called for streams that end in order too.
func (t *trouble) failed(err error) {
	t.log.Info("the control plane is not followed", "error", err)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err, t.at = err, t.now()
}

// snapshot notes what became of the snapshot.
func (t *trouble) snapshot(note string) {
	t.log.Warn(note)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note = note
}

// line returns what to tell, or "".
func (t *trouble) line() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if t.err == nil || now.Sub(t.at) > freshTrouble || !t.told.IsZero() && now.Sub(t.told) < tellEvery {
		return ""
	}
	t.told = now
	line := "latchkey: requests get 503, for the control plane cannot be followed: " + t.err.Error()
	if t.note != "" {
		line += "; " + t.note
	}
	return strings.ReplaceAll(line, "\n", ": ")
}
