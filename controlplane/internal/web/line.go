package web

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Line is the one wide log line of a request. Handlers set what they know; the
// chain writes it when the request is over. Nothing in it may be a secret or
// come from a query string, a body or a header.
type Line struct {
	Code   string // the verdict's or the problem's
	Caller string // kind and id of who called
	KeyID  string // of the key that was judged
	Cause  error  // what went wrong behind an answer that does not say it

	stack []byte // of a panic
	attrs []slog.Attr
}

// LineOf returns the request's line; outside the chain one that is thrown away.
func LineOf(ctx context.Context) *Line { return &exchangeOf(ctx).line }

// Add adds fields of a handler's own.
func (l *Line) Add(attrs ...slog.Attr) { l.attrs = append(l.attrs, attrs...) }

// observed measures every request, and writes the line of every one but probes.
func observed(next http.Handler, o *Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := o.Now()
		x := exchangeOf(r.Context())
		defer func() { // also when the connection is aborted
			end := o.Now()
			took := end.Sub(start)
			o.Metrics.observe(r, x.response.status, took)
			if !probe(r) {
				x.write(r, end, took)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (x *exchange) write(r *http.Request, end time.Time, took time.Duration) {
	l := &x.line
	level := slog.LevelInfo
	if x.failed() {
		level = slog.LevelError
	}
	log := x.settings.Log.Handler()
	if !log.Enabled(x, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("method", methodLabel(r.Method)),
		slog.String("route", routeLabel(r)),
		slog.Int("status", x.response.status),
		slog.Int64("us", took.Microseconds()), // whole: slog hands a float to encoding/json
		slog.String("request_id", x.id),
	)
	for _, known := range [...]struct{ name, value string }{
		{"caller", l.Caller}, {"key_id", l.KeyID}, {"code", l.Code}, {"stack", string(l.stack)},
	} {
		if known.value != "" {
			attrs = append(attrs, slog.String(known.name, known.value))
		}
	}
	if l.Cause != nil {
		attrs = append(attrs, slog.String("cause", l.Cause.Error()))
	}
	// The record is made by hand because Logger would walk the stack for a source
	// line that is always this one.
	record := slog.NewRecord(end, level, "request", 0)
	record.AddAttrs(attrs...)
	record.AddAttrs(l.attrs...)
	_ = log.Handle(x, record) // where the log itself fails there is nobody to tell
}

// failed reports whether something went wrong here. Behind a refusal a cause only
// explains it, as of a name that is taken: clients cannot raise alarms.
func (x *exchange) failed() bool {
	refused := x.response.status >= http.StatusBadRequest && x.response.status < http.StatusInternalServerError
	return x.response.status >= http.StatusInternalServerError || x.line.stack != nil || x.line.Cause != nil && !refused
}

// methodLabel returns the method where it is one of the known ones: clients may
// send any token, and a label or log line must not carry theirs.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// routeLabel returns the template of the route that served r, such as
// "/api/v1/keys/{id}". ServeMux has set r.Pattern by the time it is read.
func routeLabel(r *http.Request) string {
	if r.Pattern == "" {
		return "unmatched"
	}
	if i := strings.IndexByte(r.Pattern, '/'); i > 0 {
		return r.Pattern[i:]
	}
	return r.Pattern
}

// probe reports whether r is a probe, which is neither logged nor bounded.
func probe(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }
