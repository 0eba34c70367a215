package edge

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

// save replaces the file, if the feed was heard since the last time.
func (s *snapshot) save(ctx context.Context, limit time.Duration) (saved bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, records, err := s.begin()
	if p == nil {
		return false, err
	}
	w, err := s.write(ctx, p, records)
	if err == nil {
		err = s.replace(w, p)
	}
	s.counts.saved(w, p, err)
	if err != nil {
		s.abandon(w)
		return false, err
	}
	s.goodbye(ctx)
	return true, nil
}

// begin decides whether there is something to save. From here on changes are
// gathered for the new file too: what was applied before, the records reflect,
// or they are left out.
func (s *snapshot) begin() (*preamble, iter.Seq[validator.Kept], error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	at, prefixes := s.feed.at(), s.feed.prefixes.Load()
	if at.Epoch == "" || prefixes == nil || s.budget() == 0 {
		return nil, nil, nil
	}
	if err := s.locked(); errors.Is(err, errSnapInUse) {
		return nil, nil, nil // by a process that ends soon
	} else if err != nil {
		return nil, nil, err
	}
	s.saving, s.spoiled, s.missed = true, false, nil
	now := s.client.config.Now() // before the validator's own look, so that nothing counts as younger than it is
	boot, up := s.uptime()
	heard, records, ok := s.tell.Save()
	if !ok || now.Add(-heard).Sub(s.heard) < time.Second {
		s.saving = false
		return nil, nil, nil
	}
	return &preamble{
		Version: s.self.Version, Instance: s.self.Instance, Position: at, Prefixes: slices.Clone(*prefixes),
		Budget: nanoseconds(s.budget()), Heard: nanoseconds(heard), Saved: now.UnixNano(), Boot: boot, Up: nanoseconds(up),
		heardAt: now.Add(-heard),
	}, records, nil
}

// write writes all but the changes into a new file, open to nobody else. What it
// returns beside an error is for abandon.
func (s *snapshot) write(ctx context.Context, p *preamble, records iter.Seq[validator.Kept]) (*snapWriter, error) {
	token, err := s.client.token()
	if err != nil {
		return nil, err
	}
	name := s.path + ".new"
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	w, err := newSnapWriter(f, token)
	if err != nil {
		return w, err
	}
	if err := w.all(ctx, p, records); err != nil {
		return w, err
	}
	// Most of it reaches the disk here, where nothing waits for it.
	return w, errors.Join(w.out.Flush(), f.Sync())
}

// replace adds what was applied meanwhile and puts the new file in the old one's
// place.
func (s *snapshot) replace(w *snapWriter, p *preamble) error {
	s.disk.Lock()
	defer s.disk.Unlock()
	if err := s.settled(); err != nil {
		return err
	}
	if s.spoiled {
		return errSnapReset
	}
	if len(s.missed) > 0 {
		if err := errors.Join(w.changes(s.missed), w.file.Sync()); err != nil {
			return err
		}
	}
	if err := os.Rename(w.file.Name(), s.path); err != nil {
		return err
	}
	if s.own != nil {
		_ = s.own.file.Close()
	}
	s.own, s.saving, s.missed = w, false, nil
	s.heard = p.heardAt
	if err := syncDir(s.path); err != nil {
		// The file before might be back after a loss of power.
		s.takeBack()
		s.heldUntil = s.client.config.Now().Add(s.budget())
		return err
	}
	return nil
}

// abandon ends a save that did not succeed. The file before is as good as it was.
func (s *snapshot) abandon(w *snapWriter) {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.saving, s.missed = false, nil
	if w != nil {
		_ = w.file.Close()
		_ = os.Remove(s.path + ".new")
	}
}

// goodbye takes the process whose file was replaced off the control plane's list:
// nothing can go on in its place any more.
func (s *snapshot) goodbye(ctx context.Context) {
	if s.predecessor == "" || s.predecessor == s.self.Instance {
		return
	}
	gone := s.self
	gone.Instance = s.predecessor
	if s.heart.send(ctx, wire.Heartbeat{Gateway: gone, Leaving: true}) == nil {
		s.predecessor = ""
	}
}

// locked makes sure that no other process uses the file. The lock is the
// process's, and ends with it.
func (s *snapshot) locked() error {
	if s.lock != nil {
		return nil
	}
	f, err := os.OpenFile(s.path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return errSnapInUse
		}
		return err
	}
	s.lock = f
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
