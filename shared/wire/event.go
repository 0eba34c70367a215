package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json"
)

// The events of a change stream.
const (
	// EventChange: the ids in it changed. Its id is the change number.
	EventChange = "change"
	// EventHead: at this moment everything up to its number has been told.
	EventHead = "head"
	// EventReset: forget everything, and go on from its number.
	EventReset = "reset"
)

// Kind says what a change does to what is cached. Anything but Refresh forbids
// the use of what is older, so that a kind that is not known yet errs safely.
type Kind string

// The kinds of change.
const (
	Forget  Kind = "forget"
	Refresh Kind = "refresh"
)

// Change is the data of EventChange.
type Change struct {
	IDs  []string `json:"ids"`
	Kind Kind     `json:"kind"`
	// Ack asks for a heartbeat as soon as the change was applied.
	Ack bool `json:"ack,omitempty"`
}

// Head is the data of EventHead and EventReset.
type Head struct {
	Number int64  `json:"number"`
	Epoch  string `json:"epoch"`
	// Prefixes are those of every key that was issued.
	Prefixes []string `json:"prefixes"`
}

// Event is one event of a stream.
type Event struct {
	Name string
	ID   int64 // of a change; 0 where there is none
	Data []byte
}

// Keepalive is a comment, which readers skip; it keeps proxies from closing a
// stream that is silent.
const Keepalive = ":\n\n"

// AppendEvent appends an event in the form of server-sent events (WHATWG HTML,
// section 9.2), with data as JSON. An id of 0 is left out.
func AppendEvent(b []byte, name string, id int64, data any) ([]byte, error) {
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	b = append(append(b, "event: "...), name...)
	if id > 0 {
		b = strconv.AppendInt(append(b, "\nid: "...), id, 10)
	}
	b = append(append(b, "\ndata: "...), encoded...)
	return append(b, "\n\n"...), nil
}

// AppendSequence appends the field that numbers the events of one stream, from 1
// on. It stands before an event, so that the event itself can be encoded once
// for every stream.
func AppendSequence(b []byte, n int64) []byte {
	return append(strconv.AppendInt(append(b, "seq: "...), n, 10), '\n')
}

// ErrEvent is returned for a stream that is not of events as AppendEvent writes
// them.
var ErrEvent = errors.New("wire: not an event")

// EventReader reads the events of one stream. It is not safe for concurrent use.
type EventReader struct {
	lines *bufio.Scanner
	read  int64 // events
}

// NewEventReader reads from r; it holds at most MaxEvent bytes of it.
func NewEventReader(r io.Reader) *EventReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), MaxEvent)
	return &EventReader{lines: lines}
}

// Next returns the next event; its data is good until the next call. Comments
// and fields that are not known are skipped, and so is what is no event at all:
// that one was lost shows in the number of the next, which is then an error. At
// the end of the stream the error is io.EOF, also in the middle of an event,
// which then did not happen.
func (r *EventReader) Next() (e Event, err error) {
	size := 0
	for r.lines.Scan() {
		line := r.lines.Bytes()
		if len(line) == 0 {
			if e.Name != "" || e.Data != nil {
				r.read++
				return e, nil
			}
			size = 0 // a comment's end
			continue
		}
		if size += len(line); size > MaxEvent {
			return Event{}, fmt.Errorf("%w: too large", ErrEvent)
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.Name = string(value)
		case "data":
			if e.Data != nil {
				return Event{}, fmt.Errorf("%w: data in two lines", ErrEvent)
			}
			e.Data = append([]byte{}, value...)
		case "id":
			if e.ID, err = strconv.ParseInt(string(value), 10, 64); err != nil || e.ID < 1 {
				return Event{}, fmt.Errorf("%w: an id that is no number", ErrEvent)
			}
		case "seq":
			if n, err := strconv.ParseInt(string(value), 10, 64); err != nil || n != r.read+1 {
				return Event{}, fmt.Errorf("%w: number %.20q of the stream after %d", ErrEvent, value, r.read)
			}
		}
	}
	switch err := r.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return Event{}, fmt.Errorf("%w: too large", ErrEvent)
	case err != nil:
		return Event{}, err
	}
	return Event{}, io.EOF
}

// DecodeHead reads the data of EventHead and EventReset.
func DecodeHead(data []byte) (h Head, err error) {
	if err := json.Unmarshal(data, &h); err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	if h.Epoch == "" || h.Number < 0 {
		return Head{}, fmt.Errorf("%w: a head of no history", ErrEvent)
	}
	return h, nil
}

// DecodeChange reads the data of EventChange. A change that names nothing is an
// error: what it forbids would stay in use.
func DecodeChange(data []byte) (c Change, err error) {
	if err := json.Unmarshal(data, &c); err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	if len(c.IDs) == 0 || c.Kind == "" {
		return Change{}, fmt.Errorf("%w: a change of nothing", ErrEvent)
	}
	return c, nil
}
