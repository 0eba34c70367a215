package app

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

// headInterval is how often the end of the audit log is written into the
// server's own log, which is kept elsewhere: what was seen there, nobody can take
// back, whoever has the database and SECRET_KEY included. `latchkey audit verify
// --head` compares.
const headInterval = time.Hour

// headLog logs heads.
type headLog struct {
	read func(context.Context) (journal.Head, error)
	log  *slog.Logger
}

// run logs the head at once and then each hour, until ctx is done.
func (l headLog) run(ctx context.Context) {
	every := time.NewTicker(headInterval)
	defer every.Stop()
	for {
		l.once(ctx)
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

func (l headLog) once(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	head, err := l.read(ctx)
	switch {
	case errors.Is(ctx.Err(), context.Canceled): // the process stops
	case err != nil:
		l.log.Warn("the audit head could not be read; it is tried again in an hour", "cause", err.Error())
	case head.Number > 0:
		l.log.Info("audit head", "number", head.Number, "hash", hex.EncodeToString(head.MAC))
	}
}
