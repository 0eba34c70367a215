package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

const (
	// peerLost is the silence after which another replica is not waited for: as
	// long as it takes for a feed to count as lost.
	peerLost = 3 * time.Second
	// peerPatience is how long a change waits for the other replicas at most.
	peerPatience = 250 * time.Millisecond
	sayTimeout   = time.Second
)

// peers knows the other replicas and how far each has followed the change log.
// What takes something away is answered when all of them have forgotten it, so
// that the next request is refused whichever replica it reaches. Each replica
// says its position by NOTIFY: after every such change, and once a second.
//
// A replica that is silent for peerLost is not waited for; it has lost the
// database, and answers from its cache within the staleness budget only. Waiting
// ends after peerPatience in any case: the change is committed, and is told.
type peers struct {
	self string
	now  func() time.Time
	say  func(ctx context.Context, text string) error

	mu      sync.Mutex
	others  map[string]peer
	moved   chan struct{} // closed, and made anew, when a peer was heard
	here    peer          // of this replica
	urgent  bool          // something was forgotten since it was last said
	said    time.Time
	unspoke chan struct{} // wakes run
}

// peer is how far a replica has come.
type peer struct {
	epoch  string
	number int64
	at     time.Time // when it was last heard
}

func newPeers(say func(context.Context, string) error, now func() time.Time) *peers {
	return &peers{
		self: uuid.NewString(), now: now, say: say,
		others: map[string]peer{}, moved: make(chan struct{}), unspoke: make(chan struct{}, 1),
	}
}

// Reset implements journal.Sink.
func (p *peers) Reset(h journal.Head) { p.reach(h, true) }

// Apply implements journal.Sink. The other sinks come first, so what is said
// afterwards is true of them too.
func (p *peers) Apply(c journal.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.urgent = p.urgent || c.Forget
}

// Heard implements journal.Sink.
func (p *peers) Heard(h journal.Head) { p.reach(h, false) }

func (p *peers) reach(h journal.Head, urgent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.here = peer{epoch: h.Epoch, number: h.Number}
	p.urgent = p.urgent || urgent
	if !p.urgent && p.now().Sub(p.said) < peerLost/3 {
		return
	}
	p.urgent, p.said = false, p.now()
	select {
	case p.unspoke <- struct{}{}:
	default: // it is about to say the newest anyway
	}
}

// run says this replica's position until ctx ends, and then goodbye.
func (p *peers) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			p.speak(context.WithoutCancel(ctx), fmt.Sprintf("%s - -1", p.self))
			return
		case <-p.unspoke:
			p.mu.Lock()
			here := p.here
			p.mu.Unlock()
			p.speak(ctx, fmt.Sprintf("%s %s %d", p.self, here.epoch, here.number))
		}
	}
}

// speak may fail: a replica that cannot be heard is not waited for.
func (p *peers) speak(ctx context.Context, text string) {
	ctx, cancel := context.WithTimeout(ctx, sayTimeout)
	defer cancel()
	_ = p.say(ctx, text)
}

// hear takes in what a replica said.
func (p *peers) hear(text string) {
	var id string
	heard := peer{at: p.now()}
	if n, err := fmt.Sscan(text, &id, &heard.epoch, &heard.number); n != 3 || err != nil || id == p.self {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if heard.number < 0 {
		delete(p.others, id)
	} else {
		p.others[id] = heard
	}
	close(p.moved)
	p.moved = make(chan struct{})
}

// await returns when every other replica has come to number, or is not waited
// for any more.
func (p *peers) await(ctx context.Context, number int64) {
	patience := time.NewTimer(peerPatience)
	defer patience.Stop()
	for {
		behind, moved := p.behind(number)
		if behind == 0 {
			return
		}
		select {
		case <-moved:
		case <-patience.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// behind counts the replicas that have not come to number, and forgets those
// that are lost.
func (p *peers) behind(number int64) (n int, moved <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, other := range p.others {
		switch {
		case p.now().Sub(other.at) > peerLost:
			delete(p.others, id)
		case other.epoch != p.here.epoch || other.number < number:
			n++
		}
	}
	return n, p.moved
}

// figure counts the other replicas that are waited for.
func (p *peers) figure() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "latchkey_replicas_others", Help: "Other replicas that were heard within three seconds.",
	}, func() float64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		n := 0
		for _, other := range p.others {
			if p.now().Sub(other.at) <= peerLost {
				n++
			}
		}
		return float64(n)
	})
}
