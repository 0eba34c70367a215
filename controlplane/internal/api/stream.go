package api

import (
	"bufio"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/latchkey/latchkey/controlplane/internal/web"
)

// streamBuffer is how much of a stream is sent at once.
const streamBuffer = 64 << 10

// streamLines answers with what produce writes, one JSON value a line. A stream
// may take longer than an answer: it has as long as its client takes its parts,
// each within eventPatience. Where produce fails the connection is cut, so that
// half a stream is not taken for a whole one; the cause is in the log.
func streamLines(ctx huma.Context, disposition string, produce func(write func(any) error) error) {
	r, w := humago.Unwrap(ctx)
	part := &part{w: w, control: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", ndjson)
	h.Set("Content-Disposition", disposition)
	h.Set("Cache-Control", "no-store")
	buffer := bufio.NewWriterSize(part, streamBuffer)
	lines := json.NewEncoder(buffer)
	lines.SetEscapeHTML(false)
	err := produce(lines.Encode)
	if err == nil {
		err = buffer.Flush()
	}
	if err != nil {
		if r.Context().Err() == nil { // else the client left
			web.LineOf(r.Context()).Cause = err
		}
		panic(http.ErrAbortHandler)
	}
}

// part sends one part of a stream, within a time of its own.
type part struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p *part) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(eventPatience))
	n, err := p.w.Write(b)
	if err == nil {
		err = p.control.Flush()
	}
	return n, err
}
