package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/web"
)

// SecurityScheme names the document's scheme for management keys.
const SecurityScheme = "managementKey"

// SessionScheme names the document's scheme for signed-in users.
const SessionScheme = "session"

// operation describes an operation of the admin API, with the scope that it
// needs. What it may answer beside its success says describeRefusals.
func operation(method, path, tag, name, summary string, scope access.Scope) huma.Operation {
	return huma.Operation{
		OperationID: name, Method: method, Path: path, Tags: []string{tag}, Summary: summary,
		Description: fmt.Sprintf("Needs the scope `%s`.", scope),
		Security:    []map[string][]string{{SecurityScheme: {string(scope)}}, {SessionScheme: {}}},
	}
}

// resource is the answer that shows one thing, and its version.
type resource[V any] struct {
	ETag string `header:"ETag"`
	Body V
}

// made is the answer to the making of a thing.
type made[V any] struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     V
}

// madeAt answers that it was made, and where it is from now on.
func (r *resource[V]) madeAt(location string) *made[V] { return &made[V]{r.ETag, location, r.Body} }

// creating makes an operation answer 201.
func creating(op huma.Operation) huma.Operation {
	op.DefaultStatus = http.StatusCreated
	return op
}

// exampleBodies are whole bodies as examples, by name, for where those of the
// members would not do together or do not show enough. huma adds the schema.
func exampleBodies(examples map[string]any) *huma.RequestBody {
	media := &huma.MediaType{Examples: map[string]*huma.Example{}}
	for name, value := range examples {
		media.Examples[name] = &huma.Example{Value: value}
	}
	return &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": media}}
}

// caller is who calls, with what the journal keeps of the request.
func caller(ctx context.Context) access.Caller { return web.CallerOf(ctx) }

// problemOf is huma's way to an error: what a handler returned, or what huma
// found wrong with the request. The values that it found are dropped: one of them
// may be the whole body, with a key in it.
func problemOf(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
	p := problem(status, message, errs)
	if ctx != nil {
		p.Finish(ctx.Context())
		p.Headers(ctx.SetHeader)
		ctx.AppendHeader("Vary", "Accept-Language")
	}
	return p
}

func problem(status int, message string, errs []error) *web.Problem {
	switch {
	case status == http.StatusInternalServerError && len(errs) == 1:
		return web.ProblemOf(errs[0])
	case status == http.StatusUnprocessableEntity:
		return details(web.NewProblem(web.Code(fault.CodeInvalid)), errs)
	case status == http.StatusBadRequest:
		p := web.NewProblem(web.CodeMalformed)
		if strings.Contains(message, "body is required") {
			p = web.NewProblem(web.CodeNoBody)
		}
		return details(p, errs)
	case status == http.StatusRequestEntityTooLarge:
		return web.NewProblem(web.CodeTooLarge)
	case status == http.StatusUnsupportedMediaType:
		return web.NewProblem(web.CodeMediaType)
	}
	return web.NewProblem(web.Code(fault.CodeInternal)).CausedBy(fmt.Errorf("huma: %d %s", status, message))
}

func details(p *web.Problem, errs []error) *web.Problem {
	for _, err := range errs {
		if d, ok := err.(huma.ErrorDetailer); ok {
			p = wrong(p, d.ErrorDetail())
		}
	}
	return p
}

// plainLocation cuts a location off before the first part that does not look
// like a name of ours: a client may have put a key where a name belongs.
func plainLocation(location string) string {
	end := 0
	for part := range strings.SplitSeq(location, ".") {
		name, _, _ := strings.Cut(part, "[")
		if !web.PlainName(name) {
			return location[:end] + fmt.Sprintf("(a name of %d bytes)", len(part))
		}
		end += len(part) + 1
	}
	return location
}

// pathID reads the id of a path. What is no id of this kind names nothing.
func pathID[K id.Kind](text string) (id.Of[K], error) {
	parsed, err := id.Parse[K](text)
	if err != nil {
		return parsed, fault.New(fault.NotFound, "there is no such thing: "+id.Form, id.Prefix[K]())
	}
	return parsed, nil
}

// etag is the version of a thing as an entity tag (RFC 9110, section 8.8.3).
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// ifMatch reads an If-Match header; 0 stands for none and for "*".
func ifMatch(header string) (int64, error) {
	if header == "" || header == "*" {
		return 0, nil
	}
	version, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(header, "W/"), `"`), 10, 64)
	if err != nil || version < 1 {
		return 0, fault.New(fault.Outdated, "If-Match is not an ETag of this API").WithFix("send the ETag as it was read, or leave If-Match out")
	}
	return version, nil
}

// PageInput are the query parameters of every list. It is exported because
// huma fills in only exported embedded structs.
type PageInput struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before, with the same filters; the first page without."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most on a page."`
}

// page is the answer of every list.
type page[V any] struct {
	Data       []V     `json:"data" doc:"The newest first, unless another order was asked for."`
	NextCursor *string `json:"next_cursor" nullable:"true" doc:"The cursor of the next page; null on the last."`
}

// pageOf cuts the one that was read beyond the page and makes the cursor.
func pageOf[D, V any](in PageInput, read []D, view func(D) V, idOf func(D) string) *listOutput[V] {
	out := &listOutput[V]{Body: page[V]{Data: []V{}}}
	for i, d := range read {
		if i == in.Limit {
			cursor := base64.RawURLEncoding.EncodeToString([]byte(idOf(read[i-1])))
			out.Body.NextCursor = &cursor
			break
		}
		out.Body.Data = append(out.Body.Data, view(d))
	}
	return out
}

type listOutput[V any] struct{ Body page[V] }

// after reads a cursor; "" is the beginning.
func after[K id.Kind](cursor string) (id.Of[K], error) {
	if cursor == "" {
		return id.Of[K]{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		var last id.Of[K]
		if last, err = id.Parse[K](string(b)); err == nil {
			return last, nil
		}
	}
	return id.Of[K]{}, invalid("query.cursor", "next_cursor of a page of this list")
}

// optionalID reads an id in a body or query; "" is none.
func optionalID[K id.Kind](f *fault.Fields, location, text string) id.Of[K] {
	if text == "" {
		return id.Of[K]{}
	}
	parsed, err := id.Parse[K](text)
	if err != nil {
		f.Add(location, id.Form, id.Prefix[K]())
	}
	return parsed
}

func invalid(location, message string) error {
	var f fault.Fields
	f.Add(location, "%s", message)
	return f.Err()
}
