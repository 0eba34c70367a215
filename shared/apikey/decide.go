package apikey

import (
	"net/netip"
	"time"
)

// Request is what a door asks about one credential that Parse found whole.
type Request struct {
	Fingerprint Fingerprint
	// Kind is the kind of key that the door is for; a key of another kind does
	// not exist there.
	Kind Kind
	// Environment is Live or Test where only such keys may pass.
	Environment Environment
	// IP is the client's address; the zero value where it is not known.
	IP netip.Addr
	// Method and Path are of the request that the key came with; empty where
	// they are not known. Path is as it was sent, still encoded, without query.
	Method, Path string
	// Client, where there is one, is asked for IP, Method and Path in place of
	// the fields above: by the goroutine that judges, and only where a rule of
	// the key or a look-up needs them.
	Client Client
	// Scopes are all needed.
	Scopes []string
	// AnyScopes: one of them is needed, where there are any.
	AnyScopes []string
	// Freshness says how old the answer may be.
	Freshness Freshness
	// Unmetered: what is asked is no use of the key, and nothing is noted of it.
	Unmetered bool
}

// Client tells of the request that a key came with, for a door to which each
// answer costs something. What is not known is the zero value; a method may be
// called more than once.
type Client interface {
	IP() netip.Addr
	// KnownIP is IP where it was asked for before.
	KnownIP() (ip netip.Addr, known bool)
	Method() string
	Path() string
}

// ClientIP returns the client's address; the zero value where it is not known.
func (r *Request) ClientIP() netip.Addr {
	if r.Client != nil {
		return r.Client.IP()
	}
	return r.IP
}

// KnownIP returns the client's address where telling it costs nothing any more.
func (r *Request) KnownIP() (ip netip.Addr, known bool) {
	if r.Client != nil {
		return r.Client.KnownIP()
	}
	return r.IP, true
}

func (r *Request) method() string {
	if r.Client != nil {
		return r.Client.Method()
	}
	return r.Method
}

func (r *Request) path() string {
	if r.Client != nil {
		return r.Client.Path()
	}
	return r.Path
}

// Freshness says how fresh the record behind an answer must be.
type Freshness uint8

// The degrees of freshness.
const (
	// Cached accepts what is cached and not known to have changed.
	Cached Freshness = iota
	// Recent accepts what was looked up within the last second.
	Recent
	// Now asks for a look-up that started after the request came.
	Now
)

// Verdict is the answer. A refusal is a verdict, never an error.
type Verdict struct {
	Code Code
	// Record is the key's record where one was found, also for refusals; else
	// its zero value.
	Record Record
	// At is the moment that the record was judged by; zero where there is none.
	At Instant
	// MissingScope is the first needed scope that the key lacks, or of AnyScopes
	// the first; set with InsufficientScope.
	MissingScope string
	// RetryAfter is when asking again may help; set with Undecided.
	RetryAfter time.Duration
}

// Decide judges a request by a record that was found, at the moment now. The
// checks are made in the order of the codes, and the first that fails is the
// answer. Only reads: deciding twice changes nothing.
func Decide(now Instant, r *Record, req *Request) Code {
	if !r.Needs.Empty() {
		return Undecided // this version knows no check beyond its own
	}
	k := &r.Key
	switch {
	case k.Kind != req.Kind:
		return KeyNotFound
	case k.RevokedAt != 0:
		return Revoked
	case k.RetiresAt.passed(now):
		return Retired
	case k.Disabled:
		return Disabled
	case k.NotBefore > now:
		return NotYetValid
	case k.ExpiresAt.passed(now):
		return Expired
	}
	plan := r.Subscription.at(now)
	switch {
	case plan == TrialEnded:
		return TrialEnded
	case r.User.Disabled:
		return OwnerDisabled
	case plan != Valid:
		return plan
	case req.Environment != AnyEnvironment && req.Environment != k.Environment:
		return EnvironmentMismatch
	case !k.ipAllowed(req):
		return IPNotAllowed
	case !k.methodAllowed(req):
		return MethodNotAllowed
	case !k.pathAllowed(req):
		return PathNotAllowed
	case r.MissingScope(req) != "":
		return InsufficientScope
	}
	return Valid
}

// at says what a subscription means at a moment: Valid, TrialEnded or
// PlanInactive. Ends take effect by the clock, never by a job's timing.
func (s *Subscription) at(now Instant) Code {
	if s.ID == "" {
		return Valid
	}
	switch s.Status {
	case Active:
		return Valid
	case Trialing:
		if s.TrialEndsAt.passed(now) {
			return TrialEnded
		}
		return Valid
	case Canceled:
		if s.PeriodEnd > now {
			return Valid
		}
	}
	return PlanInactive
}

// Standing says in one word what a subscription is at a moment: the state that it
// was put into, or what the clock has made of it: trial_ended or ended. At
// active, trialing and canceled it lets its keys in.
func (s *Subscription) Standing(now Instant) string {
	switch {
	case s.Status == Trialing && s.TrialEndsAt.passed(now):
		return "trial_ended"
	case s.Status == Canceled && s.PeriodEnd <= now:
		return Ended.String()
	}
	return s.Status.String()
}

// MissingScope returns the first needed scope that the record's key lacks, or
// "" where it has what the request needs.
func (r *Record) MissingScope(req *Request) string {
	for _, want := range req.Scopes {
		if !r.Key.Scopes.Covers(want) {
			return want
		}
	}
	if len(req.AnyScopes) == 0 {
		return ""
	}
	for _, want := range req.AnyScopes {
		if r.Key.Scopes.Covers(want) {
			return ""
		}
	}
	return req.AnyScopes[0]
}
