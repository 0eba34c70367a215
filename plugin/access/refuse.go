package access

import (
	"encoding/json"
	"net/http"

	"github.com/latchkey/latchkey/plugin/gateway"
	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/problem"
)

// body is a refusal as the control plane writes it, but for the request id: Kong
// has its own, in the X-Kong-Request-Id of every answer.
type body struct {
	Type         string        `json:"type"`
	Title        string        `json:"title"`
	Status       int           `json:"status"`
	Detail       string        `json:"detail"`
	Code         string        `json:"code"`
	Fix          string        `json:"fix,omitempty"`
	Subscription *subscription `json:"subscription,omitempty"`
}

// subscription is told where the key is known.
type subscription struct {
	ID          string         `json:"id"`
	Plan        string         `json:"plan"`
	Status      string         `json:"status"`
	TrialEndsAt apikey.Instant `json:"trial_ends_at"`
	PeriodEnd   apikey.Instant `json:"period_end"`
}

// refuse answers the client with the verdict. It returns what the handler then
// does: false.
func (h *handler) refuse(p *gateway.Phase, v *apikey.Verdict, req *apikey.Request) bool {
	headers := append(make([]gateway.Header, 0, 4), problemHeaders...)
	if challenge := problem.Challenge(h.policy.Realm, v, req); challenge != "" {
		headers = append(headers, gateway.Header{Name: "WWW-Authenticate", Value: challenge})
	}
	if v.Code.Status() == http.StatusServiceUnavailable {
		headers = append(headers, gateway.Header{Name: "Retry-After", Value: problem.RetryAfter(v.RetryAfter)})
	}
	// A failed exit is seen by the server, which lets nothing through.
	_ = p.Exit(gateway.Reply{Status: v.Code.Status(), Body: refusal(v), Headers: headers})
	return false
}

func refusal(v *apikey.Verdict) []byte {
	e := problem.Of(v.Code)
	answer := body{
		Type: problem.Type(v.Code.String()), Title: e.Title, Status: v.Code.Status(),
		Detail: problem.Detail(v), Code: v.Code.String(), Fix: e.Fix,
	}
	if s := &v.Record.Subscription; s.ID != "" {
		answer.Subscription = &subscription{s.ID, s.Plan, s.Standing(v.At), s.TrialEndsAt, s.PeriodEnd}
	}
	return encode(answer)
}

func encode(b body) []byte {
	encoded, err := json.Marshal(b)
	if err != nil { // texts, numbers and times that a database held
		panic("access: a refusal that cannot be written")
	}
	return encoded
}

var problemHeaders = []gateway.Header{
	{Name: "Content-Type", Value: problem.MediaType},
	{Name: "Cache-Control", Value: "no-store"},
}

// stripping answers a request that would have Kong take identity headers away. It
// says nothing of a key, for none was judged. The texts are the catalogue's.
var stripping = gateway.Reply{
	Status: http.StatusBadRequest,
	Body: encode(body{
		Type: problem.Type("BAD_CONNECTION_HEADER"), Title: "Connection header not acceptable", Status: http.StatusBadRequest,
		Detail: "The request's Connection header names a header by which the gateway tells the service who calls; it would not have arrived.", Code: "BAD_CONNECTION_HEADER",
		Fix: "Name in Connection only what is about the connection, or send none.",
	}),
	Headers: problemHeaders,
}

// Fault answers where this gateway has a fault of its own: a panic, or a
// configuration that cannot be used.
var Fault = gateway.Reply{
	Status: http.StatusInternalServerError,
	Body: encode(body{
		Type: problem.Type("INTERNAL"), Title: "Internal error", Status: http.StatusInternalServerError,
		Detail: "Something went wrong in the gateway. The cause is in its log.", Code: "INTERNAL",
		Fix: "Try again; if it stays, report it to the operator.",
	}),
	Headers: problemHeaders,
}
