package journal

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
)

// AuditStore keeps the audit chain.
type AuditStore interface {
	// Events returns a page, the newest first.
	Events(ctx context.Context, q Query) ([]Event, error)
	// AuditRows yields the whole chain, the oldest first.
	AuditRows(ctx context.Context) iter.Seq2[Row, error]
	// Tail returns both ends of the chain as of one moment.
	Tail(ctx context.Context) (Tail, error)
	// Prune removes the rows before the oldest one that is not older than
	// before, all in one transaction with the checkpoint and the entry that sign
	// makes of the last row removed. It returns how many rows went, 0 where there
	// were none and nothing was written.
	Prune(ctx context.Context, before time.Time, sign func(last Head, rows int64) (SealedCheckpoint, Entry, error)) (int64, error)
}

// Tail is the ends of the chain.
type Tail struct {
	Head       Head
	Last       int64 // the highest number of any row, 0 where there is none
	Checkpoint SealedCheckpoint
}

// Audit is what may be done with the audit chain. Safe for concurrent use.
type Audit struct {
	AuditConfig
	turn chan struct{} // one verification at a time: each reads everything
}

// AuditConfig is what an Audit is made of.
type AuditConfig struct {
	Store       AuditStore
	Chain       *Chain
	Checkpoints *Checkpoints
	Now         func() time.Time
}

// NewAudit returns the service.
func NewAudit(c AuditConfig) *Audit { return &Audit{AuditConfig: c, turn: make(chan struct{}, 1)} }

// Events returns a page of events, the newest first. It needs audit:read.
func (a *Audit) Events(ctx context.Context, caller access.Caller, q Query) ([]Event, error) {
	if err := caller.Require(access.AuditRead); err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	return a.Store.Events(ctx, q)
}

func (q *Query) check() error {
	var f fault.Fields
	f.Check(q.Action == "" || q.Action.Valid(), "query.action", "want an action, such as key.revoke, or key.* for all of a kind")
	if !q.Since.IsZero() {
		field.Time(&f, "query.since", &q.Since)
	}
	if !q.Until.IsZero() {
		field.Time(&f, "query.until", &q.Until)
	}
	f.Check(q.Since.IsZero() || q.Until.IsZero() || q.Since.Before(q.Until), "query.until", "want a moment after since")
	return f.Err()
}

// exportPage is how many events an export holds in memory.
const exportPage = 500

// Export yields every event that the query finds, the newest first, page by page:
// no transaction stays open, and memory does not grow. It needs audit:read; that
// and a wrong query are found before anything is yielded. What is appended
// meanwhile is not part of it.
func (a *Audit) Export(ctx context.Context, caller access.Caller, q Query) (iter.Seq2[Event, error], error) {
	q.Limit = exportPage
	page, err := a.Events(ctx, caller, q)
	if err != nil {
		return nil, err
	}
	return func(yield func(Event, error) bool) {
		for {
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < exportPage {
				return
			}
			q.After = page[len(page)-1].Position()
			if page, err = a.Store.Events(ctx, q); err != nil {
				yield(Event{}, err)
				return
			}
		}
	}, nil
}

// Verify walks the chain from its checkpoint, or from the beginning, to the head
// of the moment at which it starts. seen, where it is not zero, is a head that was
// logged: the row of its number must still have its MAC, which proves that nobody,
// not even with SECRET_KEY, wrote the log anew or cut off its end since then. It
// needs audit:read. With an error the report is of the rows that were read.
func (a *Audit) Verify(ctx context.Context, caller access.Caller, seen Head) (Report, error) {
	if err := caller.Require(access.AuditRead); err != nil {
		return Report{}, err
	}
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return Report{}, ctx.Err()
	}
	for {
		tail, err := a.Store.Tail(ctx)
		if err != nil {
			return Report{}, err
		}
		report, err := a.verify(ctx, tail, seen)
		if err != nil || report.Broken == 0 {
			return report, err
		}
		// Rows that are pruned while they are read look as if they were missing.
		now, err := a.Store.Tail(ctx)
		if err != nil || bytes.Equal(now.Checkpoint.Seal, tail.Checkpoint.Seal) {
			return report, err
		}
	}
}

func (a *Audit) verify(ctx context.Context, tail Tail, seen Head) (Report, error) {
	start := Head{}
	checkpoint, ok := a.Checkpoints.Open(tail.Checkpoint)
	switch {
	case !ok:
		return broken(Report{}, 1, "the checkpoint of what was pruned is not genuine"), nil
	case checkpoint != nil:
		start = Head{Number: checkpoint.Number, MAC: checkpoint.MAC}
	}
	witness := witness{seen: seen, mac: nil}
	if start.Number == seen.Number {
		witness.mac = start.MAC
	}
	report, err := a.Chain.VerifyFrom(ctx, start, witness.watch(tail.Head.Number, a.Store.AuditRows(ctx)), tail.Head)
	report.Checkpoint = checkpoint
	switch {
	case err != nil || report.Broken != 0:
		return report, err
	case tail.Last > tail.Head.Number:
		return broken(report, tail.Head.Number+1, "the head stands before the last row"), nil
	case seen.Number == 0:
		return report, nil
	case seen.Number < start.Number:
		return report, fault.New(fault.Conflict, "the row %d was pruned: the log begins after %d", seen.Number, start.Number).
			WithFix("give a head that was logged later")
	case seen.Number > tail.Head.Number:
		return broken(report, tail.Head.Number+1, fmt.Sprintf("rows are missing at the end: the log was seen to reach %d", seen.Number)), nil
	case !bytes.Equal(witness.mac, seen.MAC):
		return broken(report, seen.Number, "the log up to here is another than the one that was seen"), nil
	}
	return report, nil
}

// witness notes the MAC of one row as the rows pass by.
type witness struct {
	seen Head
	mac  []byte
}

// watch ends the rows at a number: others may go on writing meanwhile.
func (w *witness) watch(end int64, rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for row, err := range rows {
			if err == nil && row.Number > end {
				return
			}
			if row.Number == w.seen.Number {
				w.mac = row.MAC
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// Pruned is what Prune did.
type Pruned struct {
	Rows    int64
	Through int64 // the number of the last row removed; 0 where none was
}

// Prune removes what is older than before, from the oldest on, and leaves a
// sealed checkpoint. It refuses a chain that is broken, for pruning would destroy
// what shows it. It is an event itself, and needs every right.
func (a *Audit) Prune(ctx context.Context, caller access.Caller, before time.Time) (p Pruned, err error) {
	if err := caller.Require(access.All); err != nil {
		return p, err
	}
	now := a.Now().UTC()
	if before.After(now) {
		return p, fault.New(fault.Invalid, "the moment to prune up to lies in the future")
	}
	report, err := a.Verify(ctx, caller, Head{})
	if err != nil {
		return p, err
	}
	if report.Broken != 0 {
		return p, fault.New(fault.Conflict, "the audit chain is broken at number %d (%s); pruning would destroy the evidence", report.Broken, report.Why).
			WithFix("see latchkey audit verify")
	}
	p.Rows, err = a.Store.Prune(ctx, before, func(last Head, rows int64) (SealedCheckpoint, Entry, error) {
		p.Through = last.Number
		sealed, err := a.Checkpoints.Seal(Checkpoint{Number: last.Number, MAC: last.MAC, At: now, Actor: caller.Actor})
		return sealed, Entry{Caller: caller, At: now, Action: "audit.prune", Target: Target{Kind: "audit"}, After: map[string]any{
			"before": before.UTC(), "rows": rows, "through": last.Number, "mac": hex.EncodeToString(last.MAC),
		}}, err
	})
	if err != nil {
		return Pruned{}, err
	}
	return p, nil
}
