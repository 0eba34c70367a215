package doors

import (
	"fmt"
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

// Security names the schemes of an OpenAPI document.
type Security struct{ ManagementKey, Session string }

// Describe adds the doors to an OpenAPI document. It registers no handler:
// Register does.
func Describe(api huma.API, security Security) {
	document := api.OpenAPI()
	schemas := document.Components.Schemas
	schema := func(t reflect.Type) *huma.Schema { return schemas.Schema(t, true, t.Name()) }
	describeAuth(document, schema, security)
	describeBatch(document, schema, security)
	describeExplain(document, schema, security)
	describePriceList(document, schema)
}

func describeAuth(document *huma.OpenAPI, schema func(reflect.Type) *huma.Schema, security Security) {
	responses := map[string]*huma.Response{"200": {
		Description: "The key is good.",
		Headers: map[string]*huma.Param{apikey.RotateByHeader: {
			Description: "By when the holder must rotate the key; only for keys that are to be rotated regularly.",
			Schema:      &huma.Schema{Type: huma.TypeString, Format: "date-time"}, Example: "2027-01-01T00:00:00Z",
		}},
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: schema(reflect.TypeFor[AuthAnswer]()), Example: exampleAnswer,
		}},
	}}
	refusals := schema(reflect.TypeFor[AuthRefusal]())
	for status, codes := range authCodes() {
		responses[strconv.Itoa(status)] = problemResponse(refusals, codes)
	}
	document.AddOperation(&huma.Operation{
		OperationID: "authenticate", Method: http.MethodPost, Path: authPath,
		Summary: "Judge a key", Tags: []string{"Public"},
		Description: "Answers whether a key is good for a request, and to whom it belongs. Every refusal has its own code.\n\n" +
			"No credential is needed. A caller with a management key that has `auth:on-behalf` is believed about " +
			"`client_ip`, `method` and `path` of the client for which it asks. " +
			"`Cache-Control: no-cache` asks for a fresh look-up; without `auth:on-behalf`, at most once per key and second.",
		Security: []map[string][]string{{}, {security.ManagementKey: {}}},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {
			Schema: schema(reflect.TypeFor[AuthRequest]()),
			Examples: map[string]*huma.Example{
				"key":   {Summary: "Only the key", Value: map[string]any{"auth_key": exampleKey}},
				"scope": {Summary: "A scope is needed", Value: map[string]any{"auth_key": exampleKey, "scopes": []string{"reports:read"}}},
				"behalf": {Summary: "On behalf of a client (needs auth:on-behalf)", Value: map[string]any{
					"auth_key": exampleKey, "client_ip": "203.0.113.9", "method": "GET", "path": "/reports/7",
				}},
			},
		}}},
		Responses: responses,
	})
}

// neverHere are the verdicts that no problem of this door has: a body holds one
// key, and asks for no environment.
var neverHere = []string{"VALID", "AMBIGUOUS_CREDENTIAL", "ENVIRONMENT_MISMATCH"}

// authCodes returns every code that the door may answer, by status.
func authCodes() map[int][]web.Code {
	codes := byStatus(append(slices.Clone(bodyCodes), callerCodes...)...)
	for _, c := range apikey.Codes() {
		if !slices.Contains(neverHere, c.String()) {
			codes[c.Status()] = append(codes[c.Status()], web.Code(c.String()))
		}
	}
	return codes
}

var (
	// bodyCodes are the problems of anything that takes a body.
	bodyCodes = []web.Code{
		web.CodeMalformed, web.CodeNoBody, web.CodeTimeout, web.CodeTooLarge, web.CodeMediaType, web.CodeOverloaded,
		web.Code(fault.CodeInvalid), web.Code(fault.CodeInternal),
	}
	// callerCodes are those of an Authorization header that does not do.
	callerCodes = []web.Code{web.Code(fault.CodeUnauthorized), web.Code(fault.CodeForbidden), web.Code(fault.CodeUnavailable)}
)

func byStatus(all ...web.Code) map[int][]web.Code {
	codes := map[int][]web.Code{}
	for _, c := range all {
		entry, _ := web.Lookup(c)
		codes[entry.Status] = append(codes[entry.Status], c)
	}
	return codes
}

// problemResponse describes one status: its codes, and an example of each.
func problemResponse(schema *huma.Schema, codes []web.Code) *huma.Response {
	var text strings.Builder
	examples := map[string]*huma.Example{}
	slices.Sort(codes)
	for _, c := range codes {
		entry, _ := web.Lookup(c)
		fmt.Fprintf(&text, "- `%s`: %s\n", c, entry.Detail)
		examples[string(c)] = &huma.Example{Summary: entry.Title, Value: map[string]any{
			"type": "/docs/errors/" + c.Slug(), "title": entry.Title, "status": entry.Status, "detail": entry.Detail,
			"code": c, "request_id": exampleRequestID, "fix": entry.Fix,
		}}
	}
	return &huma.Response{
		Description: text.String(),
		Content:     map[string]*huma.MediaType{web.ProblemType: {Schema: schema, Examples: examples}},
	}
}

const (
	exampleKey       = "lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"
	exampleRequestID = "TQ4ZCNY3IWCJRLWZ5UGR7XQY2S"
)

var exampleAnswer = map[string]any{
	"valid": true, "code": "VALID", "request_id": exampleRequestID,
	"key": map[string]any{
		"id": "key_0190c2f57d3a7c3e8f5a2b6d1c9e4a70", "name": "ci", "environment": "live",
		"scopes": []string{"reports:read"}, "expires_at": nil, "metadata": map[string]any{},
	},
	"user": map[string]any{"id": "usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a71", "external_id": "customer-7"},
	"subscription": map[string]any{
		"id": "sub_0190c2f57d3a7c3e8f5a2b6d1c9e4a72", "plan": "pro", "status": "active",
		"trial_ends_at": nil, "period_end": "2027-01-01T00:00:00Z",
	},
}
