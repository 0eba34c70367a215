// Package journal owns the two logs that every change is written to in its own
// transaction: the audit chain (who did what, for people) and the change log
// (what caches must forget, for edges).
//
//	domain ──Entry──► store: rows, then the entry, in one transaction
//	                           │  head row locked last: numbers are in commit order
//	                           ├─► audit_events  (chained by HMAC)
//	                           └─► changes ──NOTIFY──► Follower ──► validators, edges
//
// Invariants: a change without an entry does not exist; numbers have no gap and
// are in commit order; whoever has read number N has seen every change up to N;
// an audit row that anyone without SECRET_KEY altered, removed or inserted is
// found by Verify. Domains make entries, the postgres adapter appends them.
package journal

import (
	"encoding/json"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/id"
)

// Target is what an entry is about.
type Target struct {
	Kind string `json:"kind"` // key, user, plan, subscription
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Entry is one change: who, what, and which cached things it makes stale.
type Entry struct {
	Caller access.Caller
	At     time.Time
	Action string // such as "key.revoke"
	Target Target
	// Before and After hold the fields that changed, without any secret. Nil
	// where there was nothing before, or is nothing after.
	Before, After any
	// Touches are the ids whose dependants are stale now. None: the change is
	// nothing to an edge, and only the audit chain gets a row.
	Touches []string
	// Refresh says that the change takes nothing away and ends no refusal, so that
	// a cached record may be used once more while it is renewed. Left false, it
	// may not.
	Refresh bool
}

// Head is the end of both logs.
type Head struct {
	Number int64
	MAC    []byte // of the last audit row; empty before the first
	// Epoch names this history of the logs. Another one, as after a backup was
	// restored, makes every number of the old one meaningless.
	Epoch string
	// Prefixes are those of every key that was ever issued, for doors to know
	// a key by. Only a Stream fills them in.
	Prefixes []string
}

// Change is a row of the change log.
type Change struct {
	Number int64
	IDs    []string
	Forget bool
}

// text is the exact form of an entry that is stored and sealed.
type text struct {
	Number    int64        `json:"number"`
	ID        string       `json:"id"`
	At        time.Time    `json:"at"`
	Actor     access.Actor `json:"actor"`
	Address   string       `json:"address,omitempty"`
	RequestID string       `json:"request_id,omitempty"`
	Action    string       `json:"action"`
	Target    Target       `json:"target"`
	Before    any          `json:"before,omitempty"`
	After     any          `json:"after,omitempty"`
}

// Sealed is an entry as the audit chain stores it.
type Sealed struct {
	Number int64
	ID     id.Event
	Text   string
	MAC    []byte
	Entry  Entry
}

func (e Entry) text(number int64, event id.Event) (string, error) {
	b, err := json.Marshal(text{
		Number: number, ID: event.String(), At: e.At.UTC(),
		Actor: e.Caller.Actor, Address: e.Caller.Address, RequestID: e.Caller.RequestID,
		Action: e.Action, Target: e.Target, Before: e.Before, After: e.After,
	})
	return string(b), err
}

// Diff returns the fields in which two values differ, as JSON objects: what
// they were and what they are. Values are compared in their JSON form, so a
// field that marshals as a secret never shows.
func Diff(before, after any) (was, is map[string]json.RawMessage) {
	was, is = fields(before), fields(after)
	for name, b := range was {
		if a, ok := is[name]; ok && string(a) == string(b) {
			delete(was, name)
			delete(is, name)
		}
	}
	return was, is
}

func fields(v any) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil { // only a type that cannot be JSON, which is a defect
		panic("journal: " + err.Error())
	}
	return m
}
