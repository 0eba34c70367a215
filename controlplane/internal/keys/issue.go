package keys

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/clock"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Service is what may be done with keys. Safe for concurrent use.
type Service struct {
	store  Store
	facts  Facts
	digest Digester
	prefix string
	now    clock.Clock

	policies Policies
}

// Facts are the things that a key is issued on.
type Facts struct {
	Owners        Owners
	Plans         Plans
	Subscriptions Subscriptions
}

// Config is what a Service is made of. Prefix is the prefix of new keys; Policy,
// where it is nil, always returns Usual.
type Config struct {
	Store  Store
	Facts  Facts
	Digest Digester
	Prefix string
	Policy Policies
	Now    func() time.Time
}

// New returns the service.
func New(c Config) *Service {
	if c.Policy == nil {
		c.Policy = usual
	}
	return &Service{store: c.Store, facts: c.Facts, digest: c.Digest, prefix: c.Prefix, policies: c.Policy, now: c.Now}
}

// NewKey is a key to be issued. Only Name is needed.
type NewKey struct {
	Kind           apikey.Kind
	Environment    apikey.Environment // Live where not given
	OwnerID        id.User            // the built-in user where not given
	SubscriptionID id.Subscription
	Plan           string // a slug: the owner's live subscription on it is reused, or made
	Name           string
	Label          string
	// Idempotent: where a live key of the owner has the label already, that one
	// is the answer.
	Idempotent   bool
	Scopes, Tags []string
	Metadata     json.RawMessage

	AllowCIDRs, DenyCIDRs    []netip.Prefix
	AllowMethods, AllowPaths []string
	LimitOverrides           map[string]int64

	NotBefore, ExpiresAt *time.Time
	ExpiresInDays        int  // instead of ExpiresAt
	RotateEveryDays      int  // 0: never
	RotateOverlapHours   *int // counts where RotateEveryDays is set; nil: the policy's
}

// Batch is keys to be issued together.
type Batch struct {
	Keys []NewKey
	// IdempotencyKey, where there is one, makes a repetition within a day answer
	// what the first time made. Another batch under it is Invalid.
	IdempotencyKey string
}

// Issued is a new key with its secret, which is nowhere else; or a key that was
// there Already, without.
type Issued struct {
	Key     Key
	Secret  apikey.Secret
	Already bool
}

// Issue makes a key. It needs keys:write, and for a management key every scope
// that the key is to hold; the set-up window may issue management keys only.
func (s *Service) Issue(ctx context.Context, caller access.Caller, in NewKey) (Issued, error) {
	return s.IssueOnce(ctx, caller, in, "")
}

// IssueOnce is Issue under an Idempotency-Key; "" is none.
func (s *Service) IssueOnce(ctx context.Context, caller access.Caller, in NewKey, idempotencyKey string) (Issued, error) {
	issued, err := s.issue(ctx, caller, Batch{[]NewKey{in}, idempotencyKey}, func(_ int, err error) error { return err })
	if err != nil {
		return Issued{}, err
	}
	return issued[0], nil
}

// IssueMany makes all keys of a batch or none. It needs what Issue does for
// each of them.
func (s *Service) IssueMany(ctx context.Context, caller access.Caller, b Batch) ([]Issued, error) {
	if len(b.Keys) < 1 || len(b.Keys) > MaxBatch {
		return nil, invalid("body.keys", "1 to %d", MaxBatch)
	}
	if caller.IsSetup() {
		return nil, fault.New(fault.Forbidden, "the set-up token opens nothing but the first management key")
	}
	return s.issue(ctx, caller, b, relocate)
}

// attempts is how often an issue is begun anew because somebody else made the
// same label, subscription or request at the same moment.
const attempts = 4

func (s *Service) issue(ctx context.Context, caller access.Caller, b Batch, at func(int, error) error) ([]Issued, error) {
	for i := range b.Keys {
		if err := mayIssue(caller, b.Keys[i]); err != nil {
			return nil, at(i, err)
		}
	}
	request, err := s.request(caller, b)
	if err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		if request != nil {
			if made, err := s.made(ctx, *request, len(b.Keys)); err != nil || made != nil {
				return made, err
			}
		}
		d, err := s.draft(ctx, caller, at)
		if err != nil {
			return nil, err
		}
		issued, err := d.issue(ctx, b.Keys)
		if err != nil {
			return nil, err
		}
		if len(d.insertion.Keys) == 0 && request == nil {
			return issued, nil
		}
		d.insertion.Request = request.answered(issued)
		err = s.store.Insert(ctx, d.insertion)
		if err == nil {
			return issued, nil
		}
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != fault.CodeTaken || n == attempts {
			return nil, err
		}
	}
}

// request digests an Idempotency-Key and what it stands for; nil where there is
// none. One caller's never meets another's.
func (s *Service) request(caller access.Caller, b Batch) (*Request, error) {
	if b.IdempotencyKey == "" {
		return nil, nil
	}
	if len(b.IdempotencyKey) > MaxIdempotencyKey {
		return nil, invalid("header.Idempotency-Key", "at most %d bytes", MaxIdempotencyKey)
	}
	body, err := json.Marshal(b.Keys)
	if err != nil { // only metadata can be at fault
		return nil, invalid("body.metadata", "a JSON object")
	}
	key, sum := sha256.Sum256([]byte(b.IdempotencyKey)), sha256.Sum256(body)
	return &Request{Caller: string(caller.Actor.Kind) + ":" + caller.Actor.ID, Key: key[:], Body: sum[:], At: s.now.Moment()}, nil
}

// answered is the request with what it was answered with; nil for none.
func (r *Request) answered(issued []Issued) *Request {
	if r == nil {
		return nil
	}
	copied := *r
	for _, i := range issued {
		copied.Made = append(copied.Made, i.Key.ID)
	}
	return &copied
}

// made answers a repeated request, which is for n keys; nil where it is the
// first.
func (s *Service) made(ctx context.Context, r Request, n int) ([]Issued, error) {
	made, body, err := s.store.Made(ctx, r)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case string(body) != string(r.Body):
		return nil, fault.New(fault.Invalid, "this Idempotency-Key was used for another body in the last 24 hours").
			WithCode(CodeReused).WithFix("take a new Idempotency-Key for a new request")
	case len(made) < n:
		return nil, fault.New(fault.Conflict, "a key that this Idempotency-Key was answered with was deleted").WithFix("take a new Idempotency-Key")
	}
	all := make([]Issued, len(made))
	for i, k := range made {
		all[i] = Issued{Key: k, Already: true}
	}
	return all, nil
}

func mayIssue(caller access.Caller, in NewKey) error {
	if caller.IsSetup() {
		if in.Kind == apikey.KindManagement {
			return nil
		}
		return fault.New(fault.Forbidden, "the set-up token opens nothing but the first management key").
			WithFix(`send "kind": "management"`)
	}
	if err := caller.Require(access.KeysWrite); err != nil {
		return err
	}
	if in.Kind == apikey.KindManagement {
		return caller.MayGrant(in.Scopes)
	}
	return nil
}
