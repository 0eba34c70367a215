package journal

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/id"
)

// Chain seals entries: each row's MAC is HMAC-SHA-256 (RFC 2104), under a key
// derived from SECRET_KEY, of the row before's MAC followed by this row's exact
// text. Safe for concurrent use.
type Chain struct{ key []byte }

// NewChain returns a chain under a key that is used for nothing else.
func NewChain(key [32]byte) *Chain { return &Chain{key: key[:]} }

// Seal numbers and seals entries that follow head, and returns the new head.
// The caller holds the lock on the head.
func (c *Chain) Seal(head Head, entries []Entry) ([]Sealed, Head, error) {
	sealed := make([]Sealed, 0, len(entries))
	for _, e := range entries {
		head.Number++
		event := id.New[id.EventKind]()
		t, err := e.text(head.Number, event)
		if err != nil {
			return nil, Head{}, fmt.Errorf("journal: write %s as JSON: %w", e.Action, err)
		}
		head.MAC = c.mac(head.MAC, t)
		sealed = append(sealed, Sealed{Number: head.Number, ID: event, Text: t, MAC: head.MAC, Entry: e})
	}
	return sealed, head, nil
}

func (c *Chain) mac(previous []byte, text string) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write(previous)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Row is an audit row as it is read back for verification. The columns beside
// the text exist for look-ups only, and must say what the text says.
type Row struct {
	Number                                                      int64
	ID                                                          id.Event
	At                                                          time.Time
	ActorKind, ActorID, Action, TargetKind, TargetID, RequestID string
	Text                                                        string
	MAC                                                         []byte
}

// Report is what Verify found.
type Report struct {
	Rows int64 // that were read and are right
	Head Head  // the last of them
	// Checkpoint is where the log begins, nil where nothing was ever pruned.
	Checkpoint *Checkpoint
	// Broken is the number of the first row that does not follow from the one
	// before it, or 0.
	Broken int64
	Why    string
}

// Verify walks a log that was never pruned; see VerifyFrom.
func (c *Chain) Verify(ctx context.Context, rows iter.Seq2[Row, error], head Head) (Report, error) {
	return c.VerifyFrom(ctx, Head{}, rows, head)
}

// VerifyFrom walks the rows, oldest first, that follow start, and compares their
// end with the stored head, so that rows cut off at the end are found too. It
// stops at the first row that is wrong. An error means that the rows could not
// be read, or not all of them before ctx ended; the report is then of those that
// were.
func (c *Chain) VerifyFrom(ctx context.Context, start Head, rows iter.Seq2[Row, error], head Head) (Report, error) {
	report := Report{Head: start}
	last := &report.Head
	for row, err := range rows {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return report, err
		}
		switch {
		case row.Number <= last.Number:
			return broken(report, row.Number, "it stands where rows were pruned"), nil
		case row.Number != last.Number+1:
			return broken(report, last.Number+1, "missing"), nil
		case !hmac.Equal(row.MAC, c.mac(last.MAC, row.Text)):
			return broken(report, row.Number, "its seal does not fit its text and the row before"), nil
		case !row.agrees():
			return broken(report, row.Number, "a column says something else than its text"), nil
		}
		report.Rows++
		last.Number, last.MAC = row.Number, row.MAC
	}
	if last.Number != head.Number || !bytes.Equal(last.MAC, head.MAC) {
		return broken(report, last.Number+1, "rows are missing at the end"), nil
	}
	return report, nil
}

func broken(r Report, number int64, why string) Report {
	r.Broken, r.Why = number, why
	return r
}

// agrees reports whether the columns repeat what the sealed text says. A column
// keeps whole microseconds of the time.
func (r Row) agrees() bool {
	t, err := readText(r.Text)
	if err != nil {
		return false
	}
	return t.Number == r.Number && t.ID == r.ID && r.At.Sub(t.At).Abs() <= time.Microsecond &&
		string(t.Actor.Kind) == r.ActorKind && t.Actor.ID == r.ActorID && t.RequestID == r.RequestID &&
		t.Action == r.Action && t.Target.Kind == r.TargetKind && t.Target.ID == r.TargetID
}
