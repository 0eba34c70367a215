package app

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// The head is logged at once and then each hour, whether or not it could be read
// the last time; an empty log has none.
func TestHeadsAreLoggedHourly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lines strings.Builder
		read := 0
		l := headLog{
			log: slog.New(slog.NewTextHandler(&lines, nil)),
			read: func(ctx context.Context) (journal.Head, error) {
				if _, limited := ctx.Deadline(); !limited {
					t.Error("the read has no time limit")
				}
				switch read++; read {
				case 1:
					return journal.Head{}, nil
				case 2:
					return journal.Head{}, fault.New(fault.Unavailable, "the database does not answer")
				}
				return journal.Head{Number: int64(read), MAC: []byte{0xab}}, nil
			},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour+time.Minute)
		defer cancel()
		l.run(ctx)
		text := lines.String()
		if read != 4 || strings.Count(text, "audit head") != 3 || !strings.Contains(text, "does not answer") || !strings.Contains(text, `msg="audit head" number=4 hash=ab`) {
			t.Errorf("%d reads:\n%s", read, text)
		}
	})
}
