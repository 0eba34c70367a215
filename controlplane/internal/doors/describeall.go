package doors

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/web"
	"github.com/latchkey/latchkey/shared/apikey"
)

// answers describes a 200 and the problems beside it.
func answers(good *huma.Response, problems *huma.Schema, codes map[int][]web.Code) map[string]*huma.Response {
	responses := map[string]*huma.Response{"200": good}
	for status, codes := range codes {
		responses[strconv.Itoa(status)] = problemResponse(problems, codes)
	}
	return responses
}

func jsonResponse(text string, schema *huma.Schema, example any) *huma.Response {
	return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/json": {Schema: schema, Example: example}}}
}

func jsonBody(schema *huma.Schema, example any) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema, Example: example}}}
}

// describeBatch: verdicts are of two shapes, which Go has no word for.
func describeBatch(document *huma.OpenAPI, schema func(reflect.Type) *huma.Schema, security Security) {
	answer := schema(reflect.TypeFor[BatchAnswer]())
	one := &huma.Schema{OneOf: []*huma.Schema{schema(reflect.TypeFor[AuthAnswer]()), schema(reflect.TypeFor[BatchRefusal]())}}
	document.Components.Schemas.Map()["BatchAnswer"].Properties["verdicts"].Items = one
	entry, _ := web.Lookup(web.Code(apikey.Revoked.String()))
	document.AddOperation(&huma.Operation{
		OperationID: "verify", Method: http.MethodPost, Path: batchPath,
		Summary: "Judge up to a hundred keys", Tags: []string{"Public"},
		Description: "Each request is judged as `POST /v1/auth` would, and refusals are verdicts, not errors: the answer is 200 with one verdict each, in order. " +
			"What could not be looked up within five seconds in all is `UNDECIDED`. A request that breaks a rule of its form makes the whole a problem, and nothing is judged.\n\n" +
			"`auth:on-behalf` and `Cache-Control: no-cache` are for all of them and mean what they do there.",
		Security: []map[string][]string{{}, {security.ManagementKey: {}}},
		RequestBody: jsonBody(schema(reflect.TypeFor[BatchRequest]()), map[string]any{
			"requests": []any{map[string]any{"auth_key": exampleKey}, map[string]any{"auth_key": exampleKey, "scopes": []string{"reports:read"}}},
		}),
		Responses: answers(jsonResponse("A verdict for each request.", answer, map[string]any{"verdicts": []any{
			exampleAnswer, map[string]any{
				"valid": false, "type": "/docs/errors/" + entry.Slug(), "title": entry.Title, "status": entry.Status, "detail": entry.Detail,
				"code": entry.Code, "request_id": exampleRequestID, "fix": entry.Fix,
			},
		}}), schema(reflect.TypeFor[web.Problem]()), byStatus(append(slices.Clone(bodyCodes), callerCodes...)...)),
	})
}

func describeExplain(document *huma.OpenAPI, schema func(reflect.Type) *huma.Schema, security Security) {
	// The management key may be one that is refused, whose code it then has.
	codes := byStatus(append(slices.Clone(bodyCodes), append(slices.Clone(callerCodes), web.CodeCrossOrigin)...)...)
	for _, c := range apikey.Codes() {
		if !slices.Contains(neverHere, c.String()) && c != apikey.Undecided && c != apikey.InsufficientScope {
			codes[c.Status()] = append(codes[c.Status()], web.Code(c.String()))
		}
	}
	document.AddOperation(&huma.Operation{
		OperationID: "explain", Method: http.MethodPost, Path: explainPath,
		Summary: "Explain how a key is judged", Tags: []string{"Keys"},
		Description: "Needs the scope `" + string(access.KeysRead) + "`. The body is that of `POST /v1/auth`, and `client_ip`, `method` and `path` are believed. " +
			"Every check is answered, also those behind the first that fails, with its input, the rule and where that comes from. " +
			"It reads the database as it is now and leaves nothing behind: no cache is used, nothing is counted.",
		Security:    []map[string][]string{{security.ManagementKey: {string(access.KeysRead)}}, {security.Session: {}}},
		RequestBody: jsonBody(schema(reflect.TypeFor[AuthRequest]()), map[string]any{"auth_key": exampleKey, "client_ip": "203.0.113.9", "method": "GET", "path": "/orders/7"}),
		Responses: answers(jsonResponse("How the key is judged.", schema(reflect.TypeFor[ExplainAnswer]()), exampleExplanation),
			schema(reflect.TypeFor[web.Problem]()), codes),
	})
}

var exampleExplanation = map[string]any{
	"valid": false, "code": "PATH_NOT_ALLOWED", "request_id": exampleRequestID,
	"key": exampleAnswer["key"], "user": exampleAnswer["user"], "subscription": exampleAnswer["subscription"],
	"checks": []any{
		map[string]any{"code": "REVOKED", "result": "passed", "source": "key", "rule": map[string]any{"revoked_at": nil}, "input": map[string]any{"now": "2026-11-22T01:02:03.000004Z"}},
		map[string]any{"code": "PATH_NOT_ALLOWED", "result": "failed", "source": "key", "rule": map[string]any{"allow_paths": []string{"/reports"}}, "input": map[string]any{"path": "/orders/7"}},
	},
}

func describePriceList(document *huma.OpenAPI, schema func(reflect.Type) *huma.Schema) {
	responses := answers(jsonResponse("The price list.", schema(reflect.TypeFor[PriceList]()), map[string]any{
		"data": []any{map[string]any{"slug": "pro", "name": "Pro", "scopes": []string{"reports:*"}, "trial_days": nil}},
	}), schema(reflect.TypeFor[web.Problem]()), byStatus(web.Code(fault.CodeInvalid), web.Code(fault.CodeUnavailable), web.Code(fault.CodeInternal), web.CodeOverloaded))
	responses["200"].Headers = map[string]*huma.Param{"ETag": {Description: "Names this state of the list.", Schema: &huma.Schema{Type: huma.TypeString}}}
	responses["304"] = &huma.Response{Description: "The list is the one that If-None-Match names."}
	document.AddOperation(&huma.Operation{
		OperationID: "list-public-plans", Method: http.MethodGet, Path: priceListPath,
		Summary: "The price list", Tags: []string{"Public"},
		Description: "The plans that are marked public. Anybody may read it, and keep it for a minute.",
		Security:    []map[string][]string{{}},
		Parameters:  []*huma.Param{{Name: "If-None-Match", In: "header", Description: "The ETag of the list that the client has.", Schema: &huma.Schema{Type: huma.TypeString}}},
		Responses:   responses,
	})
}
