package api

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

// ownRefusals are the codes of single operations, by their ids; what all of a
// shape may answer is in refusalsOf.
var ownRefusals = map[string][]web.Code{
	"issue-key":           {conflict, taken, "MAX_KEYS_EXCEEDED", "SETUP_CLOSED", "IDEMPOTENCY_KEY_REUSED"},
	"issue-keys":          {conflict, taken, "MAX_KEYS_EXCEEDED", "IDEMPOTENCY_KEY_REUSED"},
	"update-key":          {conflict, taken, "MAX_KEYS_EXCEEDED"},
	"restore-key":         {conflict, taken, "MAX_KEYS_EXCEEDED"},
	"rotate-key":          {taken, "NOT_ROTATABLE"},
	"rotate-my-key":       {taken, "NOT_ROTATABLE"},
	"rotate-own-key":      {taken, "NOT_ROTATABLE"},
	"revoke-key-by-start": {notFound, "AMBIGUOUS_START"},
	"lookup-key":          {notFound},

	"create-user": {taken},
	"update-user": {taken, "LAST_OWNER"},
	"create-plan": {taken},
	"update-plan": {taken},

	"create-subscription":         {conflict, taken},
	"update-subscription":         {conflict, taken},
	"change-plan-of-subscription": {conflict, taken},
	"cancel-subscription":         {conflict},
	"pause-subscription":          {conflict},
	"resume-subscription":         {conflict},
	"renew-subscription":          {conflict},

	"remove-gateway": {conflict},

	"setup":              {taken, "SETUP_CLOSED", "COOKIE_NEEDS_HTTPS"},
	"login-local":        {"WRONG_CREDENTIALS", "COOKIE_NEEDS_HTTPS", web.Code(fault.CodeTooMany)},
	"refresh":            {"SESSION_ENDED"},
	"change-my-password": {conflict, "WRONG_CREDENTIALS", web.Code(fault.CodeTooMany)},
}

const (
	conflict     = web.Code(fault.CodeConflict)
	taken        = web.Code(fault.CodeTaken)
	notFound     = web.Code(fault.CodeNotFound)
	invalidValue = web.Code(fault.CodeInvalid)
)

// describeRefusals says in the document with which statuses an operation
// refuses, the codes of each, and what such an answer looks like.
func (a *api) describeRefusals() {
	d := a.huma.OpenAPI()
	d.Components.Examples = problemExamples()
	schema := d.Components.Schemas.Schema(reflect.TypeFor[web.Problem](), true, "")
	for _, item := range d.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			delete(op.Responses, "default") // what huma says of an operation without statuses
			for status, codes := range refusalsOf(op) {
				op.Responses[strconv.Itoa(status)] = refusalResponse(status, codes, schema)
			}
			neverEmpty(op.Parameters)
		}
	}
}

// neverEmpty says in the document what web.GuardParameters sees to: for huma an
// empty parameter is an absent one.
func neverEmpty(parameters []*huma.Param) {
	for _, p := range parameters {
		if s := p.Schema; s.Type == huma.TypeString && len(s.Enum) == 0 && s.Format == "" && s.MinLength == nil {
			s.MinLength = new(1)
		}
	}
}

// refusals are codes by the status that they come with.
type refusals map[int][]web.Code

// add adds codes under the status that the catalogue has for them.
func (r refusals) add(codes ...web.Code) {
	for _, c := range codes {
		e, _ := web.Lookup(c)
		r[e.Status] = append(r[e.Status], c)
	}
}

// refusalsOf returns every code with which an operation may refuse.
func refusalsOf(op *huma.Operation) refusals {
	r := refusals{}
	r.add(ownRefusals[op.OperationID]...)
	r.add(web.CodeMalformed, invalidValue, web.Code(fault.CodeInternal), web.Code(fault.CodeUnavailable), web.CodeOverloaded)
	if op.Method != http.MethodGet {
		r.add(web.CodeTimeout, web.CodeTooLarge, web.CodeMediaType)
	}
	if op.RequestBody != nil && op.RequestBody.Required {
		r.add(web.CodeNoBody)
	}
	if strings.Contains(op.Path, "{id}") || takes(op, holderScheme) {
		r.add(notFound)
	}
	if slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == "If-Match" }) {
		r.add(web.Code(fault.CodeOutdated))
	}
	r.addCredential(op)
	return r
}

// addCredential adds the codes of a credential that does not do.
func (r refusals) addCredential(op *huma.Operation) {
	never := neverOfManagement
	switch {
	case takes(op, holderScheme):
		never = neverOfHolder
	case op.Method != http.MethodGet:
		r.add(web.CodeCrossOrigin)
	}
	if len(op.Security) == 0 {
		return // anybody may
	}
	for _, c := range apikey.Codes() {
		if !slices.Contains(never, c) {
			r.add(web.Code(c.String()))
		}
	}
	if takes(op, holderScheme) {
		return
	}
	r.add(web.Code(fault.CodeUnauthorized), web.Code(fault.CodeForbidden))
	r[http.StatusUnauthorized] = append(r[http.StatusUnauthorized], "SETUP_CLOSED") // a set-up token of before
	if takes(op, SessionScheme) {
		r.add("SESSION_ENDED")
	}
}

var (
	// neverOfHolder are the verdicts that nobody gets on one's own key: its rules
	// about methods and paths do not count, and no scope is asked for.
	neverOfHolder = []apikey.Code{
		apikey.Valid, apikey.EnvironmentMismatch, apikey.MethodNotAllowed, apikey.PathNotAllowed, apikey.InsufficientScope,
	}
	// neverOfManagement are those that no management key gets: it is under no plan,
	// and its scopes are looked at by what is done.
	neverOfManagement = []apikey.Code{
		apikey.Valid, apikey.MissingCredential, apikey.AmbiguousCredential, apikey.TrialEnded, apikey.PlanInactive,
		apikey.EnvironmentMismatch, apikey.InsufficientScope,
	}
)

func takes(op *huma.Operation, scheme string) bool {
	return slices.ContainsFunc(op.Security, func(way map[string][]string) bool { _, ok := way[scheme]; return ok })
}

// refusalResponse describes one status of an operation.
func refusalResponse(status int, codes []web.Code, schema *huma.Schema) *huma.Response {
	slices.Sort(codes)
	names, examples := make([]string, len(codes)), map[string]*huma.Example{}
	for i, c := range codes {
		names[i] = "`" + string(c) + "`"
		examples[string(c)] = &huma.Example{Ref: "#/components/examples/" + string(c)}
	}
	response := &huma.Response{
		Description: http.StatusText(status) + ": " + strings.Join(names, ", ") + ".",
		Content:     map[string]*huma.MediaType{web.ProblemType: {Schema: schema, Examples: examples}},
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		response.Headers = map[string]*huma.Param{"Retry-After": {
			Description: "After how many seconds to try again.", Schema: &huma.Schema{Type: huma.TypeInteger}, Example: 1,
		}}
	}
	return response
}

// problemExamples are what problems look like, by their codes.
func problemExamples() map[string]*huma.Example {
	examples := map[string]*huma.Example{}
	for _, e := range web.Catalogue() {
		examples[string(e.Code)] = &huma.Example{Summary: e.Title, Value: map[string]any{
			"type": "/docs/errors/" + e.Slug(), "title": e.Title, "status": e.Status, "detail": e.Detail,
			"code": e.Code, "request_id": "TQ4ZCNY3IWCJRLWZ5UGR7XQY2S", "fix": e.Fix,
		}}
	}
	return examples
}
