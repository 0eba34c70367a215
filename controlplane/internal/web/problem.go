package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/shared/problem"
)

// ProblemType is the media type of problems (RFC 9457).
const ProblemType = "application/problem+json"

// Realm is what the control plane's challenges name.
const Realm = "latchkey"

// Challenge is the WWW-Authenticate of a request that carried no credential
// (RFC 6750, section 3: without an error code).
const Challenge = `Bearer realm="` + Realm + `"`

// Problem is an answer that is not a success, as RFC 9457 problem details. It
// is also an error, and has the methods by which huma writes an error of its
// own shape.
type Problem struct {
	Type      string       `json:"type" format:"uri-reference" doc:"The page that explains the code." example:"/docs/errors/not-found"`
	Title     string       `json:"title" doc:"A few words, the same for every occurrence of the code." example:"Not found"`
	Status    int          `json:"status" doc:"The HTTP status." example:"404"`
	Detail    string       `json:"detail" doc:"What happened here." example:"There is no such key."`
	Code      Code         `json:"code" doc:"The code, for programs. It never changes; new ones may appear." example:"NOT_FOUND"`
	RequestID string       `json:"request_id,omitempty" doc:"The id of this request, also in X-Request-Id and in the server's log." example:"TQ4ZCNY3IWCJRLWZ5UGR7XQY2S"`
	Errors    []FieldError `json:"errors,omitempty" doc:"Which values are wrong; never the values themselves."`
	Fix       string       `json:"fix,omitempty" doc:"What would be right, where that is known." example:"Check the address and the id in it."`

	retryAfter time.Duration
	cause      error

	texts         Code       // whose texts it has
	said, fixSaid sentence   // what stands in their place, where anything does
	wants         []sentence // the messages of Errors
	language      Language   // of the texts, once it is finished
}

// FieldError is one wrong value: where it stands and what would be right.
type FieldError struct {
	Location string `json:"location" doc:"Where the value stands: a path such as body.scopes[0] or query.limit." example:"body.scopes[0]"`
	Message  string `json:"message" doc:"What would be right." example:"want 1 to 64 of a-z, 0-9 and ._:*-"`
}

// NewProblem returns a problem with the catalogue's texts for the code; a code
// that is not in it is INTERNAL, for it is a defect.
func NewProblem(c Code) *Problem {
	e, ok := byCode[c]
	if !ok {
		e = byCode[Code(fault.CodeInternal)]
	}
	return &Problem{Title: e.Title, Status: e.Status, Detail: e.Detail, Code: e.Code, Fix: e.Fix, texts: e.Code}
}

// Say puts what happened here in the place of the catalogue's detail and returns
// p. A format that the translations know is said in the reader's language.
func (p *Problem) Say(format string, args ...any) *Problem {
	p.said = sentence{format, args}
	p.Detail = p.said.english()
	return p
}

// Advise does the same for the fix.
func (p *Problem) Advise(format string, args ...any) *Problem {
	p.fixSaid = sentence{format, args}
	p.Fix = p.fixSaid.english()
	return p
}

// At adds a wrong value and returns p. A format that the translations know is
// said in the reader's language, others in English.
func (p *Problem) At(location, format string, args ...any) *Problem {
	said := sentence{format, args}
	p.wants = append(p.wants, said)
	p.Errors = append(p.Errors, FieldError{Location: location, Message: said.english()})
	return p
}

// CausedBy keeps an error for the log, which no client sees, and returns p.
func (p *Problem) CausedBy(err error) *Problem {
	p.cause = err
	return p
}

// ProblemOf returns the problem of an error. A fault gives its message, fix and
// fields, its kind the status; where its code is not in the catalogue, the texts
// of its kind stand in. An error that is no fault is INTERNAL and gives nothing; one whose time
// was over is UNAVAILABLE. The cause goes to the log.
func ProblemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return NewProblem(Code(fault.CodeUnavailable)).CausedBy(err)
		}
		return NewProblem(Code(fault.CodeInternal)).CausedBy(err)
	}
	if f.Kind == fault.Internal {
		return NewProblem(Code(fault.CodeInternal)).CausedBy(err)
	}
	p := NewProblem(Code(fault.New(f.Kind, "").Code))
	if e, known := byCode[Code(f.Code)]; known {
		p.Title, p.Detail, p.Fix, p.texts = e.Title, e.Detail, e.Fix, e.Code
	}
	p.Code = Code(f.Code)
	message, fix := f.Sentences()
	if f.Message != "" {
		p.Detail, p.said = f.Message, sentence(message)
	}
	if f.Fix != "" {
		p.Fix, p.fixSaid = f.Fix, sentence(fix)
	}
	p.retryAfter = f.RetryAfter
	for _, field := range f.Fields {
		said := field.Sentence()
		p = p.At(field.Location, said.Format, said.Args...)
	}
	if f.Unwrap() != nil {
		p.cause = err
	}
	return p
}

// Finish fills in what depends on the request (type, request id, language), gives
// the wide line its code and cause. WriteProblem does it by itself; an adapter that
// lets huma write the body calls it first.
func (p *Problem) Finish(ctx context.Context) {
	x := exchangeOf(ctx)
	p.Type = x.settings.PublicURL + "/docs/errors/" + p.Code.Slug()
	p.RequestID = x.id
	p.translate(x.language())
	x.line.Code = string(p.Code)
	if p.cause != nil {
		x.line.Cause = p.cause
	}
}

// WriteProblem answers with a problem.
func WriteProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	p.Finish(r.Context())
	WriteProblemBody(w, p, p)
}

// WriteProblemBody answers with body, a shape that embeds p and adds members to
// it (RFC 9457, section 3.2). p was finished by the caller.
func WriteProblemBody(w http.ResponseWriter, p *Problem, body any) {
	encoded, err := json.Marshal(body)
	if err != nil { // texts and numbers only: a defect
		p.Status, encoded = http.StatusInternalServerError, []byte(`{"code":"INTERNAL"}`)
	}
	h := w.Header()
	h.Set("Content-Type", ProblemType)
	h.Set("Content-Length", strconv.Itoa(len(encoded)))
	h.Del("Etag")
	h.Add("Vary", "Accept-Language")
	p.Headers(func(name, value string) {
		if name == "Cache-Control" || name == "Content-Language" || h.Get(name) == "" {
			h.Set(name, value)
		}
	})
	w.WriteHeader(p.Status)
	_, _ = w.Write(encoded) // the client may be gone; the line has the status
}

// Headers calls set with each header that goes with the problem: a 401 has a
// challenge (RFC 9110, section 15.5.2), 429 and 503 say when to try again. Vary,
// which may have other values already, is the caller's to add to.
func (p *Problem) Headers(set func(name, value string)) {
	set("Cache-Control", "no-store")
	set("Content-Language", string(p.language))
	switch p.Status {
	case http.StatusUnauthorized:
		set("Www-Authenticate", Challenge)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		set("Retry-After", problem.RetryAfter(p.retryAfter))
	}
}

// Error returns the detail, for a problem that travels as an error.
func (p *Problem) Error() string { return p.Detail }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus returns the status, as huma asks for it.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type, as huma asks for it.
func (p *Problem) ContentType(string) string { return ProblemType }
