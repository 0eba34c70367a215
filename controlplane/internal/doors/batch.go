package doors

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

const (
	batchPath = "/v1/verify"
	maxBatch  = 100
	// batchPatience bounds a whole batch. What is not looked up by then is
	// UNDECIDED; what is cached is still judged.
	batchPatience = 5 * time.Second
	// maxHelpers is how many goroutines may help with all batches together, and
	// batchHelpers with one. They are as few as look-ups that run at once, and far
	// fewer than the requests that may wait for one: batches of misses never crowd
	// out single requests.
	maxHelpers   = 32
	batchHelpers = 7
)

// BatchRequest is the body of POST /v1/verify.
type BatchRequest struct {
	Requests []AuthRequest `json:"requests" minItems:"1" maxItems:"100" doc:"What POST /v1/auth would be asked, up to a hundred times."`
}

// BatchAnswer documents the body of its 200.
type BatchAnswer struct {
	Verdicts []any `json:"verdicts" doc:"One for each request, in their order: what POST /v1/auth would have answered. Refusals have valid: false."`
}

// BatchRefusal is a verdict of a batch that is not VALID.
type BatchRefusal struct {
	Valid bool `json:"valid" doc:"Always false."`
	AuthRefusal
	RetryAfter int `json:"retry_after_seconds,omitempty" doc:"With UNDECIDED: when to ask again."`
}

// batch is POST /v1/verify. To the bound on requests in work it is one request,
// and so it judges one at a time, as that would; helpers are borrowed where some
// are free, and make it faster, never more entitled.
type batch struct {
	*auth
	helpers chan struct{}
}

func newBatch(a *auth) *batch { return &batch{auth: a, helpers: make(chan struct{}, maxHelpers)} }

// ServeHTTP judges the keys of the body. Verdicts of any kind are 200; only a
// request that cannot be understood, or whose caller is not who it says, is not.
func (b *batch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, p := web.ReadBody(w, r)
	if p != nil {
		web.WriteProblem(w, r, p)
		return
	}
	all, p := readBatch(body)
	if p != nil {
		web.WriteProblem(w, r, p)
		return
	}
	onBehalf, p := b.onBehalf(w, r)
	if p != nil {
		web.WriteProblem(w, r, p)
		return
	}
	for _, in := range all {
		in.about(r, onBehalf)
	}
	verdicts := b.judgeAll(r.Context(), all)
	valid := 0
	for _, v := range verdicts {
		if v.Code == apikey.Valid {
			valid++
		}
	}
	answer := b.answer(r, all, verdicts, onBehalf)
	line := web.LineOf(r.Context())
	line.Code = "" // there is not one
	line.Add(slog.Int("keys", len(all)), slog.Int("valid", valid))
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = jsonType, noStore
	h.Set("Content-Language", string(web.LanguageOf(r.Context())))
	h.Add("Vary", "Accept-Language")
	_, _ = w.Write(answer) // the client may be gone
}

// readBatch decodes a body; see readAuthRequest. Everything that is wrong in any
// of the requests is named.
func readBatch(body []byte) ([]*authRequest, *web.Problem) {
	var in BatchRequest
	if p := web.DecodeJSON(body, &in); p != nil {
		if form := web.CheckJSON(body); form != nil {
			return nil, form
		}
		return nil, p
	}
	var wrong fault.Fields
	wrong.Check(len(in.Requests) > 0 && len(in.Requests) <= maxBatch, "body.requests", "want 1 to %d requests", maxBatch)
	if err := wrong.Err(); err != nil {
		return nil, web.ProblemOf(err)
	}
	all := make([]*authRequest, len(in.Requests))
	for i, one := range in.Requests {
		all[i] = &authRequest{AuthRequest: one}
		var here fault.Fields
		all[i].check(&here)
		wrong.Take(fault.Within(here.Err(), "body", fmt.Sprintf("body.requests[%d]", i)))
	}
	if err := wrong.Err(); err != nil {
		return nil, web.ProblemOf(err)
	}
	return all, nil
}

// judgeAll returns a verdict for each request. It has returned when every helper
// has.
func (b *batch) judgeAll(ctx context.Context, all []*authRequest) []apikey.Verdict {
	ctx, cancel := context.WithTimeout(ctx, batchPatience)
	defer cancel()
	verdicts := make([]apikey.Verdict, len(all))
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
			verdicts[i] = b.judgeOne(ctx, all[i])
		}
	}
	var helping sync.WaitGroup
	var panicked atomic.Pointer[any]
	for range min(len(all)-1, batchHelpers) {
		if !b.borrow() {
			break
		}
		helping.Go(func() {
			defer func() {
				<-b.helpers
				if p := recover(); p != nil {
					panicked.Store(&p)
				}
			}()
			work()
		})
	}
	defer func() { // also where this goroutine panics
		helping.Wait()
		if p := panicked.Load(); p != nil {
			panic(*p) // the chain answers for it
		}
	}()
	work()
	return verdicts
}

// borrow takes a helper where one is free.
func (b *batch) borrow() bool {
	select {
	case b.helpers <- struct{}{}:
		return true
	default:
		return false
	}
}

// answer writes each verdict as POST /v1/auth would.
func (b *batch) answer(r *http.Request, all []*authRequest, verdicts []apikey.Verdict, onBehalf bool) []byte {
	id := web.RequestID(r.Context())
	out := append(make([]byte, 0, 512*len(all)), `{"verdicts":[`...)
	for i := range verdicts {
		if i > 0 {
			out = append(out, ',')
		}
		v := &verdicts[i]
		if v.Code == apikey.Valid {
			out = appendValid(out, id, &v.Record)
			continue
		}
		f := &refusal{verdict: v, request: &all[i].asked, onBehalf: onBehalf}
		refused := BatchRefusal{AuthRefusal: f.body(r.Context())}
		if v.Code == apikey.Undecided {
			refused.RetryAfter = max(1, int((v.RetryAfter+time.Second-1)/time.Second))
		}
		one, err := json.Marshal(refused)
		if err != nil {
			panic("doors: " + err.Error()) // texts and numbers only: a defect
		}
		out = append(out, one...)
	}
	return append(out, `]}`...)
}
