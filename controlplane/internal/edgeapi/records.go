package edgeapi

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/wire"
)

// atOnce is how many records of one request are read at the same time.
const atOnce = 8

// records answers what is known of fingerprints. One that cannot be read is
// null, so that it takes none of the others down; where none can be, the answer
// is an error, and the gateway tries another replica.
func (e *edgeAPI) records(w http.ResponseWriter, r *http.Request, _ apikey.Token) error {
	var request wire.RecordsRequest
	if err := read(w, r, &request); err != nil {
		return err
	}
	if n := len(request.Fingerprints); n < 1 || n > wire.MaxFingerprints {
		return fault.New(fault.Invalid, "fingerprints holds %d, want 1 to %d", n, wire.MaxFingerprints)
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	answer, err := e.readAll(ctx, request.Fingerprints)
	if err != nil {
		return err
	}
	return write(w, answer)
}

func (e *edgeAPI) readAll(ctx context.Context, prints []wire.Fingerprint) (wire.RecordsAnswer, error) {
	answer := wire.RecordsAnswer{Records: make([]jsontext.Value, len(prints))}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var reading sync.WaitGroup
	for range min(atOnce, len(prints)) {
		reading.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(prints)); i = next.Add(1) - 1 {
				record, err := e.readOne(ctx, apikey.Fingerprint(prints[i]))
				if err != nil {
					failed.Store(&err)
					record = nil
				}
				answer.Records[i] = record
			}
		})
	}
	reading.Wait()
	unread := 0
	for i, r := range answer.Records {
		if r == nil {
			answer.Records[i] = wire.Undecided()
			unread++
		}
	}
	e.Hub.metrics.records.WithLabelValues("undecided").Add(float64(unread))
	e.Hub.metrics.records.WithLabelValues("ok").Add(float64(len(prints) - unread))
	if unread == len(prints) {
		return answer, fault.Wrap(*failed.Load(), fault.Unavailable, "no record could be read now")
	}
	return answer, nil
}

// readOne reads one record. It runs outside the goroutine that serves the
// request, where nobody else would stop a panic.
func (e *edgeAPI) readOne(ctx context.Context, f apikey.Fingerprint) (record jsontext.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			record, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	select {
	case e.lookups <- struct{}{}:
		defer func() { <-e.lookups }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	a, err := e.Source.Lookup(ctx, f)
	switch {
	case err != nil:
		return nil, err
	case !a.Found:
		return wire.EncodeNone(a.Epoch, a.Record.Change)
	}
	return wire.EncodeRecord(a.Epoch, &a.Record)
}
