package doors

import (
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey/latchkey/shared/apikey"
)

var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
)

// buffers are reused: an answer is some 500 bytes, and there are many.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// writeValid answers 200. The body is what AuthAnswer documents, a test keeps
// them equal; it is appended by hand because that costs a third of reflection.
func writeValid(w http.ResponseWriter, requestID string, record *apikey.Record) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = jsonType, noStore
	if by := record.Key.RotateBy; by != 0 {
		h[apikey.RotateByHeader] = []string{by.Time().Format(time.RFC3339)}
	}
	buffer := buffers.Get().(*[]byte)
	body := appendValid((*buffer)[:0], requestID, record)
	_, _ = w.Write(body) // the client may be gone; the line has the verdict
	*buffer = body
	buffers.Put(buffer)
}

func appendValid(b []byte, requestID string, r *apikey.Record) []byte {
	k := &r.Key
	b = append(b, `{"valid":true,"code":"VALID","request_id":`...)
	b = appendText(b, requestID)
	b = append(b, `,"key":{"id":`...)
	b = appendText(b, k.ID)
	b = append(b, `,"name":`...)
	b = appendText(b, k.Name)
	b = append(b, `,"environment":`...)
	b = appendText(b, k.Environment.String())
	b = append(b, `,"scopes":`...)
	b = appendTexts(b, k.Scopes)
	b = append(b, `,"expires_at":`...)
	b = appendInstant(b, k.EndsAt())
	b = append(b, `,"metadata":`...)
	if k.Metadata == "" {
		b = append(b, `{}`...)
	}
	b = append(b, k.Metadata...)
	b = append(b, `},"user":{"id":`...)
	b = appendText(b, r.User.ID)
	b = append(b, `,"external_id":`...)
	if r.User.ExternalID == "" {
		b = append(b, `null`...)
	} else {
		b = appendText(b, r.User.ExternalID)
	}
	b = append(b, '}')
	if r.Subscription.ID != "" {
		b = append(b, `,"subscription":`...)
		b = appendSubscription(b, &r.Subscription)
	}
	return append(b, '}')
}

// appendSubscription shows the status as it was put: with a key that is let in the
// clock has made nothing else of it.
func appendSubscription(b []byte, s *apikey.Subscription) []byte {
	b = append(b, `{"id":`...)
	b = appendText(b, s.ID)
	b = append(b, `,"plan":`...)
	b = appendText(b, s.Plan)
	b = append(b, `,"status":`...)
	b = appendText(b, s.Status.String())
	b = append(b, `,"trial_ends_at":`...)
	b = appendInstant(b, s.TrialEndsAt)
	b = append(b, `,"period_end":`...)
	return append(appendInstant(b, s.PeriodEnd), '}')
}

// appendText appends a JSON string; bytes that are not UTF-8 become U+FFFD.
func appendText(b []byte, text string) []byte {
	b, _ = jsontext.AppendQuote(b, text) // its error only says that it replaced some
	return b
}

func appendTexts(b []byte, texts apikey.Strings) []byte {
	b = append(b, '[')
	first := true
	for text := range texts.All() {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendText(b, text)
	}
	return append(b, ']')
}

func appendInstant(b []byte, i apikey.Instant) []byte {
	if i == 0 {
		return append(b, `null`...)
	}
	b = append(b, '"')
	b = i.Time().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}
