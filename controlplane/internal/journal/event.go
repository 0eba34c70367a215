package journal

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/id"
)

// Event is a row of the audit chain as it is read back, from its sealed text.
type Event struct {
	Number    int64           `json:"number"`
	ID        id.Event        `json:"id"`
	At        time.Time       `json:"at"`
	Actor     access.Actor    `json:"actor"`
	Address   string          `json:"address"`
	RequestID string          `json:"request_id"`
	Action    string          `json:"action"`
	Target    Target          `json:"target"`
	Before    json.RawMessage `json:"before"` // nil where there was nothing
	After     json.RawMessage `json:"after"`  // nil where there is nothing
}

// ReadEvent reads the text of an audit row.
func ReadEvent(text string) (Event, error) { return readText(text) }

func readText(text string) (e Event, err error) {
	if err = json.Unmarshal([]byte(text), &e); err != nil {
		return e, fmt.Errorf("journal: an audit row cannot be read: %w", err)
	}
	return e, nil
}

// Position is where an event stands in the order in which events are listed: by
// time, those of one microsecond by number. Times come from the replicas'
// clocks, so it is not quite the order of the numbers.
type Position struct {
	Micro  int64 // since the Unix epoch
	Number int64
}

// Position returns where the event stands.
func (e Event) Position() Position { return Position{Micro: e.At.UnixMicro(), Number: e.Number} }

// Query narrows a list of events; zero fields do not.
type Query struct {
	ActorKind, ActorID   string
	TargetKind, TargetID string
	Action               Action
	RequestID            string
	Since                time.Time // the first moment
	Until                time.Time // the first moment after
	// After is the position that the list goes on behind, to older events.
	After Position
	Limit int
}

// Action is one action, such as key.revoke, or all that are done to one kind of
// thing, such as key.*; "" is any.
type Action string

// Area returns the kind of thing where the action is "<kind>.*".
func (a Action) Area() (string, bool) { return strings.CutSuffix(string(a), ".*") }

// Valid reports whether there could be such an action: two words of a-z and _
// with a dot between, of which the second may be *.
func (a Action) Valid() bool {
	area, verb, found := strings.Cut(string(a), ".")
	return found && word(area) && (verb == "*" || word(verb))
}

func word(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}
