package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/api"
	"github.com/latchkey/latchkey/controlplane/internal/app"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

type verifyAuditCmd struct {
	Head seenHead `placeholder:"N:HASH" help:"Also prove that the log still holds what the server's log said in a line \"audit head\"."`
}

func (verifyAuditCmd) Help() string {
	return `Every row of the audit log is sealed under SECRET_KEY together with the row before it: what was altered, removed or inserted without that key is found. --head finds even what was done with it, as long as the server's own log is kept elsewhere.

It exits with 1 where the log is broken.`
}

// seenHead is a head as somebody saw it; its zero value is none.
type seenHead journal.Head

// UnmarshalText reads N:HASH.
func (h *seenHead) UnmarshalText(b []byte) error {
	head, err := journal.ParseHead(string(b))
	*h = seenHead(head)
	return err
}

// Run verifies the whole log, however long that takes.
func (c *verifyAuditCmd) Run(ctx context.Context, s *session) error {
	return s.withCore(ctx, func(core *app.Core) error {
		report, err := core.Audit.Verify(ctx, s.caller(), journal.Head(c.Head))
		if err != nil {
			return err
		}
		if err := s.print(api.ViewChain(report), func(w io.Writer) { writeReport(w, report) }); err != nil {
			return err
		}
		if report.Broken != 0 {
			return errReported
		}
		return nil
	})
}

func writeReport(w io.Writer, r journal.Report) {
	if c := r.Checkpoint; c != nil {
		_, _ = fmt.Fprintf(w, "Everything up to number %d was pruned at %s by %s; the checkpoint is genuine.\n",
			c.Number, c.At.UTC().Format(time.RFC3339), strings.TrimSpace(string(c.Actor.Kind)+" "+c.Actor.Name))
	}
	if r.Broken != 0 {
		_, _ = fmt.Fprintf(w, "BROKEN at number %d: %s. The %d rows before it are right.\n", r.Broken, r.Why, r.Rows)
		return
	}
	_, _ = fmt.Fprintf(w, "Whole: %d rows verified. The head is %s\n", r.Rows, r.Head)
}

type pruneAuditCmd struct {
	Before moment  `xor:"when" required:"" placeholder:"TIME" help:"Remove what is older than this moment (RFC 3339)."`
	Keep   keepFor `xor:"when" required:"" placeholder:"DURATION" help:"Remove what is older than this, such as 400d or 36h."`
}

func (pruneAuditCmd) Help() string {
	return `Give one of --before and --keep.

The removed rows cannot be brought back: export them first (GET /api/v1/audit-events/export). What stays is still proven, by a checkpoint sealed under SECRET_KEY, and the pruning is an event itself. A log that is broken is not pruned.

Example:

    latchkey audit prune --keep 400d`
}

// moment is a time as RFC 3339 writes it.
type moment time.Time

// UnmarshalText reads 2026-01-02T15:04:05Z.
func (m *moment) UnmarshalText(b []byte) error {
	at, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return errors.New("want a time such as 2026-01-02T15:04:05Z")
	}
	*m = moment(at)
	return nil
}

// keepFor is a positive duration, in days or as Go writes it.
type keepFor time.Duration

// UnmarshalText reads 400d or 36h.
func (k *keepFor) UnmarshalText(b []byte) error {
	wrong := errors.New("want a duration such as 400d or 36h")
	d, err := time.ParseDuration(string(b))
	if days, inDays := strings.CutSuffix(string(b), "d"); inDays {
		var n int
		n, err = strconv.Atoi(days)
		if n > 36500 {
			return wrong
		}
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return wrong
	}
	*k = keepFor(d)
	return nil
}

// prunedView is what was removed: how many rows, and the last of them.
type prunedView struct {
	Rows    int64 `json:"rows"`
	Through int64 `json:"through"`
}

// Run prunes the log.
func (c *pruneAuditCmd) Run(ctx context.Context, s *session) error {
	before := time.Time(c.Before)
	if c.Keep > 0 {
		before = s.env.Now().Add(-time.Duration(c.Keep))
	}
	return s.withCore(ctx, func(core *app.Core) error {
		p, err := core.Audit.Prune(ctx, s.caller(), before)
		if err != nil {
			return err
		}
		return s.print(prunedView{Rows: p.Rows, Through: p.Through}, func(w io.Writer) {
			if p.Rows == 0 {
				_, _ = fmt.Fprintf(w, "Nothing is older than %s.\n", before.UTC().Format(time.RFC3339))
				return
			}
			_, _ = fmt.Fprintf(w, "Removed %d rows, up to number %d.\n", p.Rows, p.Through)
		})
	})
}
