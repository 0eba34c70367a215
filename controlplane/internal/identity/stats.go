package identity

import "sync/atomic"

// Outcome is what came of an attempt to sign in.
type Outcome uint8

// The outcomes.
const (
	Refused   Outcome = iota // no such user, or not this password
	Accepted                 // a session began
	Throttled                // too many attempts: it was not looked at
	Undecided                // something failed
	outcomes
)

var outcomeNames = [outcomes]string{"refused", "accepted", "throttled", "undecided"}

// Outcomes lists what an attempt can come to.
func Outcomes() []Outcome { return []Outcome{Refused, Accepted, Throttled, Undecided} }

// String returns a word, for labels and log lines.
func (o Outcome) String() string { return outcomeNames[min(o, Undecided)] }

// counters are what Stats reads.
type counters struct {
	signIns [outcomes]atomic.Uint64
	delayed atomic.Int64
}

func (c *counters) signedIn(o Outcome, err error) {
	if err != nil {
		o = Undecided
	}
	c.signIns[o].Add(1)
}

// SignIns returns how many attempts came to an outcome, since the start.
func (s *Service) SignIns(o Outcome) uint64 { return s.stats.signIns[min(o, Undecided)].Load() }

// Hashes returns how many passwords were hashed, since the start.
func (s *Service) Hashes() uint64 { return s.gate.hashes.Load() }

// Delayed returns how many attempts are held back at this moment.
func (s *Service) Delayed() int64 { return s.stats.delayed.Load() }
