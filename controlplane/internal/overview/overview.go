// Package overview is what an operator sees first: how much there is of
// everything, and where a word stands.
//
//	Figures ──► rolled-up counts, at most Age old      Search ──► keys, users, plans
//
// It owns the age of the counts and what a search may look for. Invariant: a
// caller sees nothing that it could not list. The adapter api calls it.
package overview

import (
	"context"
	"sync"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/gateways"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

const (
	// Age is how old a count may be: users are counted one by one, and keys that
	// expire soon, so it is done for everybody, and no more often than this.
	Age = 15 * time.Second
	// Soon is how far the expiry of a key is ahead that expires soon.
	Soon = 7 * 24 * time.Hour
	// patience bounds one count.
	patience = 20 * time.Second
)

// KeyCount is the keys of one kind.
type KeyCount struct {
	Total    int64
	ByStatus map[keys.Status]int64 // every state, also those without a key
	// ExpiringSoon are those that can be used now and expire within Soon.
	ExpiringSoon int64
}

// Counts are counts of one moment.
type Counts struct {
	At                   time.Time
	Keys, ManagementKeys KeyCount
	Users, DisabledUsers int64
	Plans, ArchivedPlans int64
}

// Figures are what a caller may see of the counts; nil is what it may not.
type Figures struct {
	At                   time.Time
	Keys, ManagementKeys *KeyCount
	Users, Plans         *Part
	Gateways             *int // those that are connected, or may still admit somebody
}

// Part is how many there are, and how many of them are set aside: disabled, or
// archived.
type Part struct{ Total, Aside int64 }

// Store counts.
type Store interface {
	// Counts returns counts of the moment at, of one snapshot. Each kind of key
	// has every status.
	Counts(ctx context.Context, at time.Time, soon time.Duration) (Counts, error)
}

// Config is what a Service is made of.
type Config struct {
	Store Store
	Keys  interface {
		List(context.Context, access.Caller, keys.Filter) ([]keys.Key, error)
	}
	Users interface {
		List(context.Context, access.Caller, users.Filter) ([]users.User, error)
	}
	Plans interface {
		List(context.Context, access.Caller, plans.Filter) ([]plans.Plan, error)
	}
	Gateways interface {
		List(context.Context, access.Caller) ([]gateways.Gateway, error)
	}
	Now func() time.Time
}

// Service is safe for concurrent use.
type Service struct {
	Config
	turn chan struct{} // held while the counts are taken: one at a time counts
	mu   sync.Mutex
	last Counts
}

// New returns the service.
func New(c Config) *Service { return &Service{Config: c, turn: make(chan struct{}, 1)} }

// Figures returns what the caller may see, at most Age old but for gateways,
// which are those of now. It needs one of the scopes that lists need.
func (s *Service) Figures(ctx context.Context, caller access.Caller) (Figures, error) {
	if err := some(caller, access.KeysRead, access.UsersRead, access.PlansRead, access.GatewaysRead); err != nil {
		return Figures{}, err
	}
	c, err := s.counts(ctx)
	if err != nil {
		return Figures{}, err
	}
	f := Figures{At: c.At}
	if caller.Holds(access.KeysRead) {
		f.Keys, f.ManagementKeys = &c.Keys, &c.ManagementKeys
	}
	if caller.Holds(access.UsersRead) {
		f.Users = &Part{c.Users, c.DisabledUsers}
	}
	if caller.Holds(access.PlansRead) {
		f.Plans = &Part{c.Plans, c.ArchivedPlans}
	}
	if caller.Holds(access.GatewaysRead) {
		all, err := s.Gateways.List(ctx, caller)
		if err != nil {
			return Figures{}, err
		}
		n := len(all)
		f.Gateways = &n
	}
	return f, nil
}

// some returns nil where the caller holds one of the scopes.
func some(caller access.Caller, scopes ...access.Scope) error {
	for _, scope := range scopes {
		if caller.Holds(scope) {
			return nil
		}
	}
	return caller.Require(scopes[0])
}

// counts returns the last counts while they are young, else new ones. That the
// caller leaves does not end the count, for others wait for it.
func (s *Service) counts(ctx context.Context) (Counts, error) {
	if c, ok := s.young(); ok {
		return c, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return Counts{}, ctx.Err()
	}
	if c, ok := s.young(); ok { // somebody else was faster
		return c, nil
	}
	counting, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	c, err := s.Store.Counts(counting, clock.Stored(s.Now()), Soon)
	if err != nil {
		return Counts{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = c
	return c, nil
}

func (s *Service) young() (Counts, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, !s.last.At.IsZero() && s.Now().Sub(s.last.At) < Age
}

// NewKeyCount returns a count of nothing, for a Store to add to.
func NewKeyCount() KeyCount {
	c := KeyCount{ByStatus: make(map[keys.Status]int64, len(keys.Statuses))}
	for _, status := range keys.Statuses {
		c.ByStatus[status] = 0
	}
	return c
}

// Add adds n keys in a state; those that nobody is shown do not count.
func (c *KeyCount) Add(status keys.Status, n int64) {
	if _, shown := c.ByStatus[status]; shown {
		c.ByStatus[status] += n
		c.Total += n
	}
}

// Of returns the count of a kind of key.
func (c *Counts) Of(kind apikey.Kind) *KeyCount {
	if kind == apikey.KindManagement {
		return &c.ManagementKeys
	}
	return &c.Keys
}

// MaxHits is how many of each kind a search finds at most.
const MaxHits = 5

// Hits are what a search found, the newest first; nil is what the caller may not
// see, and an empty list what is not there.
type Hits struct {
	Keys  []keys.Key
	Users []users.User
	Plans []plans.Plan
}

// Search finds a text in either case: in the names, starts and last fours of
// keys, in the names, usernames, email addresses and external ids of users, in
// the names and slugs of plans. It needs one of the scopes that lists need. The
// text is never a key: whoever took it from a request has seen to that.
func (s *Service) Search(ctx context.Context, caller access.Caller, text string) (h Hits, err error) {
	if err := some(caller, access.KeysRead, access.UsersRead, access.PlansRead); err != nil {
		return h, err
	}
	var wrong fault.Fields
	wrong.Check(text != "", "query.q", "%d to %d characters", field.MinSearch, field.MaxSearch)
	field.Search(&wrong, "query.q", &text)
	if err := wrong.Err(); err != nil {
		return h, err
	}
	if caller.Holds(access.KeysRead) {
		if h.Keys, err = found(s.Keys.List(ctx, caller, keys.Filter{Search: text, Limit: MaxHits})); err != nil {
			return Hits{}, err
		}
	}
	if caller.Holds(access.UsersRead) {
		if h.Users, err = found(s.Users.List(ctx, caller, users.Filter{Search: text, Limit: MaxHits})); err != nil {
			return Hits{}, err
		}
	}
	if caller.Holds(access.PlansRead) {
		h.Plans, err = found(s.Plans.List(ctx, caller, plans.Filter{Search: text, Limit: MaxHits}))
	}
	return h, err
}

// found makes an empty list of none.
func found[T any](list []T, err error) ([]T, error) {
	if list == nil {
		list = []T{}
	}
	return list, err
}
