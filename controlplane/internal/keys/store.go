package keys

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
	"github.com/latchkey/latchkey/controlplane/internal/plans"
	"github.com/latchkey/latchkey/controlplane/internal/subscriptions"
	"github.com/latchkey/latchkey/controlplane/internal/users"
	"github.com/latchkey/latchkey/shared/apikey"
)

// Codes of this domain's faults.
const (
	CodeMaxKeys    = "MAX_KEYS_EXCEEDED"
	CodeReused     = "IDEMPOTENCY_KEY_REUSED"
	CodeAmbiguous  = "AMBIGUOUS_START"
	CodeNoRotation = "NOT_ROTATABLE"
)

// MaxBatch is how many keys one transaction writes at most, so that the revoke
// of one key never waits behind the change of many.
const MaxBatch = 1000

// SortBy is what a list is in the order of. Keys with the same value are in the
// order in which they were made.
type SortBy string

// The orders. A key that never expires comes after all that do, one that was
// never used before all that were.
const (
	ByCreation SortBy = "created_at"
	ByName     SortBy = "name"
	ByExpiry   SortBy = "expires_at"
	ByLastUse  SortBy = "last_used_at"
)

// Filter narrows and orders a list. Its zero value is all keys, the newest first.
type Filter struct {
	Kind          *apikey.Kind
	Environment   apikey.Environment
	OwnerID       id.User
	Plan          string // a plan's slug
	PlanID        id.Plan
	Status        Status
	Tag           string
	Scope         string // keys that carry this scope or one that covers it
	ExpiresBefore *time.Time
	// LastUsedBefore leaves keys that were last used before it, or never.
	LastUsedBefore *time.Time
	Search         string // a part of the name, the start or the last four

	SortBy    SortBy // ByCreation where empty
	Ascending bool
	// After is the last key of the page before, with its time and, where the
	// order is by them, its name, expiry or last use: see From.
	After        id.Key
	AfterCreated time.Time
	AfterName    string
	AfterExpires *time.Time
	AfterUsed    *time.Time
	Limit        int // at most MaxBatch

	// At is the moment that Status is of. The Service sets it.
	At time.Time
}

// Narrow reports whether the filter leaves anything out.
func (f *Filter) Narrow() bool {
	return f.Kind != nil || f.Environment != apikey.AnyEnvironment || !f.OwnerID.IsZero() || f.Plan != "" || !f.PlanID.IsZero() ||
		f.Status != "" || f.Tag != "" || f.Scope != "" || f.ExpiresBefore != nil || f.LastUsedBefore != nil || f.Search != ""
}

// Quota bounds the live API keys of an owner: under a plan, or in all where
// there is none.
type Quota struct {
	OwnerID id.User
	PlanID  id.Plan
	Max     int
}

// Request is a request under an Idempotency-Key, as digests.
type Request struct {
	Caller    string // whose Idempotency-Key it is
	Key, Body []byte
	Made      []id.Key // what it was answered with
	At        time.Time
}

// Insertion is keys to be written, with the subscriptions that are made for
// them, or nothing of it.
type Insertion struct {
	Keys          []Sealed
	Subscriptions []subscriptions.Subscription
	Entries       []journal.Entry
	// Quotas must hold after the insertion, as of At.
	Quotas []Quota
	At     time.Time
	// Request, where there is one, is remembered for a day.
	Request *Request
	// OnlyInSetup: the keys may be written only while the set-up window is open.
	OnlyInSetup bool
}

// Sealed is a key with the digest of its secret.
type Sealed struct {
	Key    Key
	Digest Digest
}

// Rotation is what a key becomes when it is rotated: its successor. The key
// itself was edited.
type Rotation struct {
	Successor Sealed
	Entries   []journal.Entry
}

// Selection names keys to be changed together.
type Selection struct {
	IDs []id.Key
	// Filter, instead of IDs: the oldest Limit keys behind After that it
	// leaves. Its order is that of creation.
	Filter *Filter
	// Successors: what they were rotated into, too.
	Successors bool
	// Quotas must hold after the change, and Label be held by one live key of its
	// owner at most, as of At.
	Quotas []Quota
	Label  Label
	At     time.Time
}

// Label is a label among an owner's keys; none where its Text is empty.
type Label struct {
	OwnerID id.User
	Text    string
}

// Store keeps keys, under the same contract as users.Store. A key that was
// deleted is not there, except for Purge.
type Store interface {
	// Insert writes everything in the insertion or nothing. It holds back other
	// insertions for the same owners where there is a quota or a label. Conflict
	// ALREADY_EXISTS: a live key of the owner has a label, or somebody else made
	// a subscription or the Request at the same moment; MAX_KEYS_EXCEEDED: a
	// quota would not hold. A management key closes the set-up window; where it
	// may be written only in that window and the window is closed, the answer
	// is a Conflict. An insertion without keys only keeps the Request.
	Insert(ctx context.Context, in Insertion) error
	Update(ctx context.Context, key id.Key, change func(*Key) (*journal.Entry, error)) (Key, error)
	// Edit is Update of all that is selected, in one transaction, and returns
	// what was selected, without the successors. Keys without an entry are not
	// written. NotFound where one of the IDs is not there; Conflict
	// MAX_KEYS_EXCEEDED and ALREADY_EXISTS where a quota or the label would not
	// hold, with nothing changed.
	Edit(ctx context.Context, s Selection, change func(*Key) (*journal.Entry, error)) ([]Key, error)
	// Rotate locks a key, lets change edit it and make its successor, and writes
	// both.
	Rotate(ctx context.Context, key id.Key, change func(*Key) (Rotation, error)) (Key, error)

	ByID(ctx context.Context, key id.Key) (Key, error)
	ByDigest(ctx context.Context, digests [][]byte) (Key, error)
	// ByStart returns at most two keys whose secret begins, and where last4 is
	// not empty ends, like this; those that are not revoked come first.
	ByStart(ctx context.Context, start, last4 string) ([]Key, error)
	// Labelled returns the live keys of owners that have one of the labels.
	Labelled(ctx context.Context, owners []id.User, labels []string, at time.Time) ([]Key, error)
	// Made returns what a request under the same caller and Idempotency-Key
	// made, NotFound where there was none in the last day, and the digest of its
	// body.
	Made(ctx context.Context, r Request) (made []Key, body []byte, err error)
	List(ctx context.Context, f Filter) ([]Key, error)
	Count(ctx context.Context, f Filter) (int, error)

	// NoteUses writes the last uses of keys: no more than MaxBatch, of each key one. A
	// time never moves back, nor before the key was made. Keys that are not there
	// are passed over. It waits for nobody: keys that are locked at this moment are
	// left, and returned. Neither Version nor the journal changes, and no other
	// method writes what this one does.
	NoteUses(ctx context.Context, uses []Use) (left []id.Key, err error)

	// Restamp makes lists quick for keys whose status the clock has changed, at
	// most limit of them, and returns how many. Lists are right without it.
	Restamp(ctx context.Context, at time.Time, limit int) (int, error)
	// Purge removes at most limit keys that were deleted before a moment, with
	// an entry each, and returns how many.
	Purge(ctx context.Context, before time.Time, limit int, entry func(*Key) journal.Entry) (int, error)
	// SumUp keeps counts of keys quick to read. They are right without it.
	SumUp(ctx context.Context) error
	// ForgetRequests removes at most limit Requests made before a moment.
	ForgetRequests(ctx context.Context, before time.Time, limit int) (int, error)
}

// Owners finds users.
type Owners interface {
	ByID(ctx context.Context, user id.User) (users.User, error)
}

// Plans finds plans.
type Plans interface {
	ByID(ctx context.Context, plan id.Plan) (plans.Plan, error)
	BySlug(ctx context.Context, slug string) (plans.Plan, error)
}

// Subscriptions finds subscriptions.
type Subscriptions interface {
	ByID(ctx context.Context, sub id.Subscription) (subscriptions.Subscription, error)
	// Place returns the subscription that holds a user's place on a plan: the one
	// that at a moment has not ended, and is on the plan or will change to it.
	// NotFound where there is none.
	Place(ctx context.Context, user id.User, plan id.Plan, at time.Time) (subscriptions.Subscription, error)
}
