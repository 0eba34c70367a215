package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/latchkey/latchkey/shared/validator"
	"github.com/latchkey/latchkey/shared/wire"
)

const (
	// saveEvery is the time between two saves; more where they take long, so that
	// one is under way a twentieth of the time at most.
	saveEvery = time.Minute
	saveShare = 20
	// firstSaves is how often a save is tried until there is a file of its own: as
	// long receipts wait for the process before this one.
	firstSaves  = time.Second
	saveTimeout = 10 * time.Second
	// lastSave bounds the save of a process that ends, which may fail: the file
	// before it is as good, and a minute older.
	lastSave = time.Second
	// maxQueue is how many changes may wait for the disk.
	maxQueue = 100_000
)

var (
	errSnapInUse = errors.New("another process uses it")
	errSnapHeld  = errors.New("edge: what the snapshot holds cannot be taken back")
	errSnapLate  = errors.New("edge: the control plane was faster than its snapshot")
	errSnapReset = errors.New("everything was forgotten meanwhile")
)

// snapshot is the file by which cached records outlive the process. A nil one
// does nothing.
//
// Its invariant is the receipts': while a gateway that the control plane does
// not wait for any more might come back by a file, that file does not admit what
// was confirmed to be forgotten. So changes are added to the file that this
// process wrote before they are confirmed (settle); a process that leaves a file
// behind does not say goodbye; and whoever has replaced the file says it in its
// place. The feed never waits for the disk: it notes changes in memory.
type snapshot struct {
	path   string
	client *client
	tell   *validator.Validator
	self   wire.Gateway
	feed   *feed
	heart  *heart
	counts *counts
	uptime func() (boot string, up time.Duration)
	every  time.Duration

	mu       sync.Mutex // of what the feed notes
	queue    []validator.Change
	overflow bool // the queue is not all, or a reset makes the file worthless

	disk        sync.Mutex // of the files and all below
	lock        *os.File   // held as long as the process lives
	own         *snapWriter
	saving      bool
	spoiled     bool               // the save that is under way is of no use any more
	missed      []validator.Change // since the save that is under way began
	heldUntil   time.Time          // the file cannot be taken back; by then it is too old
	heard       time.Time          // of what is on disk
	predecessor string
	read        bool // or need not be
	said        string
}

func newSnapshot(c *Config, e *Edge, self wire.Gateway) *snapshot {
	return &snapshot{
		path: c.Snapshot, client: e.feed.client, tell: e.validator, self: self, feed: e.feed, heart: e.heart,
		counts: e.counts, uptime: uptime, every: cmp.Or(c.saveEvery, saveEvery),
	}
}

// note takes a change that was applied. It never waits for the disk.
func (s *snapshot) note(c validator.Change) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == maxQueue {
		s.queue, s.overflow = nil, true
	}
	if !s.overflow {
		s.queue = append(s.queue, c)
	}
}

// reset says that everything was forgotten.
func (s *snapshot) reset() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.overflow = nil, true
}

// settle brings to disk whatever was noted. Unless it returns nil, nothing that
// was noted may be confirmed.
func (s *snapshot) settle() error {
	if s == nil {
		return nil
	}
	s.disk.Lock()
	defer s.disk.Unlock()
	return s.settled()
}

func (s *snapshot) settled() error {
	s.mu.Lock()
	queue, overflow := s.queue, s.overflow
	s.queue, s.overflow = nil, false
	s.mu.Unlock()
	if s.saving {
		s.missed = append(s.missed, queue...)
		s.spoiled = s.spoiled || overflow || len(s.missed) > maxQueue
	}
	if s.own != nil && (overflow || len(queue) > 0) {
		if overflow || errors.Join(s.own.changes(queue), s.own.file.Sync()) != nil {
			s.takeBack()
		}
	}
	if now := s.client.config.Now(); now.Before(s.heldUntil) {
		if s.remove() != nil {
			return errSnapHeld
		}
		s.heldUntil = time.Time{}
	}
	return nil
}

// takeBack makes the own file useless, in one of two ways.
func (s *snapshot) takeBack() {
	emptied := errors.Join(s.own.file.Truncate(0), s.own.file.Sync())
	_ = s.own.file.Close()
	s.own = nil
	if err := s.remove(); err != nil && emptied != nil {
		s.heldUntil = s.client.config.Now().Add(s.budget())
		s.say("snapshot: it cannot be taken back, so no change is confirmed: %v", err)
	}
}

func (s *snapshot) remove() error {
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDir(s.path)
}

func (s *snapshot) budget() time.Duration { return s.self.Budget() }

// run saves until ctx ends: at once where there is no file of its own, and else
// every minute.
func (s *snapshot) run(ctx context.Context) {
	if s == nil {
		return
	}
	look := time.NewTicker(min(firstSaves, s.every))
	defer look.Stop()
	var next, soonest time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		began := time.Now()
		if began.Before(soonest) || s.hasOwn() && began.Before(next) {
			continue
		}
		saved, err := s.save(ctx, saveTimeout)
		switch {
		case err != nil && ctx.Err() == nil:
			s.disk.Lock()
			s.say("snapshot: not saved: %v", err)
			s.disk.Unlock()
			soonest = began.Add(s.every)
		case saved:
			next, soonest = began.Add(s.every), began.Add(saveShare*time.Since(began))
		}
	}
}

func (s *snapshot) hasOwn() bool {
	s.disk.Lock()
	defer s.disk.Unlock()
	return s.own != nil
}

// end saves once more and reports whether a file is left behind by which this
// process may go on. It is called when nothing else runs any more.
func (s *snapshot) end(ctx context.Context) (left bool) {
	if s == nil {
		return false
	}
	_, _ = s.save(context.WithoutCancel(ctx), lastSave)
	held := s.settle() != nil
	if s.lock != nil {
		defer s.lock.Close()
	}
	if s.own == nil {
		return held
	}
	_ = s.own.file.Close()
	return true
}

// load takes in what the file holds, once, while no feed has told of anything.
// It is called before every attempt to reach the control plane: the process
// before this one may still be about to end, and the token may come later.
func (s *snapshot) load() (p *preamble) {
	if s == nil {
		return nil
	}
	s.disk.Lock()
	defer s.disk.Unlock()
	if s.read {
		return nil
	}
	token, err := s.client.token()
	if err == nil {
		err = s.locked()
	}
	if errors.Is(err, errNoToken) || errors.Is(err, errSnapInUse) {
		s.say("snapshot: not read yet: %v", err)
		return nil
	}
	s.read = true
	records, age := 0, time.Duration(0)
	if err == nil {
		p, records, age, err = s.take(token)
	}
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, errSnapLate):
		return nil
	case err != nil:
		s.say("snapshot: ignored: %v", err)
		return nil
	}
	s.counts.loaded.Set(float64(records))
	s.heard, s.predecessor = s.client.config.Now().Add(-age), p.Instance
	s.say("snapshot: %d records that were good %s ago are used", records, age.Round(time.Second))
	return p
}

// take reads the file: all of it, or nothing. age is the time since the feed was
// heard by who wrote it.
func (s *snapshot) take(token string) (p *preamble, records int, age time.Duration, err error) {
	f, r, p, err := openSnapshot(s.path, token)
	if err != nil {
		return nil, 0, 0, err
	}
	defer f.Close()
	if p.Version != s.self.Version {
		return nil, 0, 0, errSnapVersion
	}
	boot, up := s.uptime()
	ago, err := p.age(s.client.config.Now(), boot, up)
	if err != nil {
		return nil, 0, 0, err
	}
	// By the shorter budget of the two: by it the control plane knows until when
	// the process before this one admits anybody.
	own, told := s.budget(), time.Duration(p.Budget)
	if age = ago + time.Duration(p.Heard); age > min(own, told) {
		return nil, 0, 0, errSnapOld
	}
	l := s.tell.Load(ago)
	if l == nil {
		return nil, 0, 0, errSnapLate
	}
	records, p.Position.After, err = r.into(l, p.Position.After)
	if err != nil {
		l.Discard()
		return nil, 0, 0, err
	}
	l.Commit(validator.Head{Number: p.Position.After, Epoch: p.Position.Epoch}, age+max(0, own-told))
	return p, records, age, nil
}

// say tells one line, unless it is the one that was told last.
func (s *snapshot) say(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); line != s.said {
		s.said = line
		s.client.config.Note(line)
	}
}
