package web

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/cors"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

// Options are what the chain is made of. They are read-only once given.
type Options struct {
	Log            *slog.Logger
	Metrics        *Metrics
	Now            func() time.Time
	TrustedProxies []netip.Prefix
	CORSOrigins    []string
	PublicURL      string // without a slash at its end; empty: links are relative
	MaxInFlight    int64  // requests in work at once; the next is answered 503
}

// Chain returns the handler of a listener: everything that a request passes on
// its way to the mux, outermost first.
func Chain(mux *http.ServeMux, o Options) http.Handler {
	var h http.Handler = mux
	for _, wrap := range slices.Backward([]func(http.Handler, *Options) http.Handler{
		begin,
		observed,
		recovered,
		secured,
		crossOrigin,
		bounded,
	}) {
		h = wrap(h, &o)
	}
	return h
}

// begin makes the exchange. Everything further in sees the request that carries
// it and the response that it watches.
func begin(next http.Handler, o *Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{Context: r.Context(), settings: o}
		x.client, x.fromProxy = clientOf(r, o.TrustedProxies)
		x.id = requestID(r, x.fromProxy)
		r = r.WithContext(x)
		x.response = response{ResponseWriter: w, request: r}
		w.Header()["X-Request-Id"] = []string{x.id}
		next.ServeHTTP(&x.response, r)
	})
}

// requestID returns a trusted proxy's id where it is well-formed, else a new
// one of 128 random bits. It tells requests apart and guards nothing, so it
// need not come from crypto/rand, which is ten times as slow.
func requestID(r *http.Request, fromProxy bool) string {
	if fromProxy {
		if sent := r.Header["X-Request-Id"]; len(sent) == 1 && wellFormedID(sent[0]) {
			return sent[0]
		}
	}
	var random [16]byte
	var id [26]byte
	binary.LittleEndian.PutUint64(random[:], rand.Uint64())  //nolint:gosec // see above
	binary.LittleEndian.PutUint64(random[8:], rand.Uint64()) //nolint:gosec // see above
	base32.StdEncoding.WithPadding(base32.NoPadding).Encode(id[:], random[:])
	return string(id[:])
}

// wellFormedID accepts UUIDs, ULIDs and the like. There is no underscore in
// them, so that a key, which has one, is never taken for an id and echoed.
func wellFormedID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// recovered turns a panic into a 500; its value and stack go to the log alone.
// Where the answer was begun already, the connection is cut, so that half an
// answer is not taken for a whole one.
func recovered(next http.Handler, _ *Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(http.ErrAbortHandler)
			}
			x := exchangeOf(r.Context())
			x.line.stack = debug.Stack()
			x.line.Cause = fmt.Errorf("panic: %v", p)
			if x.response.status != 0 {
				panic(http.ErrAbortHandler)
			}
			WriteProblem(w, r, NewProblem(Code(fault.CodeInternal)))
		}()
		next.ServeHTTP(w, r)
	})
}

// The values are shared by all responses: net/http only reads them, and a
// handler that wants another replaces the slice.
var (
	nosniff   = []string{"nosniff"}
	noContent = []string{"default-src 'none'; frame-ancestors 'none'"}
)

// secured sets what keeps a browser from making more of an answer than it is;
// frame-ancestors stands for X-Frame-Options, which it obsoletes. Pages add what
// means something for pages alone.
// A page that needs scripts sets a Content-Security-Policy of its own.
func secured(next http.Handler, _ *Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = nosniff
		h["Content-Security-Policy"] = noContent
		next.ServeHTTP(w, r)
	})
}

// crossOrigin lets scripts of the configured origins call. Cookies are never
// allowed across origins. Without origins it is left out altogether, for to the
// library an empty list means all.
func crossOrigin(next http.Handler, o *Options) http.Handler {
	if len(o.CORSOrigins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: o.CORSOrigins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{"Accept-Language", "Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "If-Match"},
		ExposedHeaders: []string{"ETag", "Latchkey-Rotate-By", "Location", "Retry-After", "WWW-Authenticate", "X-Request-Id"},
		MaxAge:         600, // seconds
	}).Handler(next)
}

// bounded answers 503 at once past MaxInFlight: a queue would only make every
// client wait. Probes pass, or an overload would have the process restarted.
func bounded(next http.Handler, o *Options) http.Handler {
	var inFlight atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer inFlight.Add(-1)
		if inFlight.Add(1) > o.MaxInFlight && !probe(r) {
			WriteProblem(w, r, NewProblem(CodeOverloaded))
			return
		}
		next.ServeHTTP(w, r)
	})
}
