package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/journal"
)

type eventView struct {
	Number    int64           `json:"number" doc:"Its place in the chain. Numbers have no gaps." example:"17"`
	ID        string          `json:"id" example:"evt_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	At        time.Time       `json:"at"`
	Actor     actorView       `json:"actor"`
	Action    string          `json:"action" example:"key.revoke"`
	Target    targetView      `json:"target"`
	Before    json.RawMessage `json:"before" nullable:"true" doc:"The fields that changed, as they were; null where there was nothing. Never a secret."`
	After     json.RawMessage `json:"after" nullable:"true" doc:"The fields that changed, as they became."`
	RequestID *string         `json:"request_id" nullable:"true" doc:"X-Request-Id of the request that did it."`
	Address   *string         `json:"address" nullable:"true" doc:"The address of the client that did it." example:"203.0.113.9"`
}

type actorView struct {
	Kind string  `json:"kind" enum:"key,user,holder,cli,setup,system"`
	ID   *string `json:"id" nullable:"true" example:"key_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Name *string `json:"name" nullable:"true" example:"terraform"`
}

type targetView struct {
	Kind string  `json:"kind" example:"key"`
	ID   *string `json:"id" nullable:"true" example:"key_0190c2f57d3a7c3e8f5a2b6d1c9e4a71"`
	Name *string `json:"name" nullable:"true" example:"ci"`
}

func viewEvent(e journal.Event) eventView {
	return eventView{
		Number: e.Number, ID: e.ID.String(), At: e.At.UTC(), Action: e.Action, Before: e.Before, After: e.After,
		Actor:     actorView{Kind: string(e.Actor.Kind), ID: orNull(e.Actor.ID), Name: orNull(e.Actor.Name)},
		Target:    targetView{Kind: e.Target.Kind, ID: orNull(e.Target.ID), Name: orNull(e.Target.Name)},
		RequestID: orNull(e.RequestID), Address: orNull(e.Address),
	}
}

// EventFilter are the query parameters by which events are found. It is exported
// because huma fills in only exported embedded structs.
type EventFilter struct {
	ActorKind  string    `query:"actor_kind" enum:"key,user,holder,cli,setup,system" doc:"By whom: with a management key, as a signed-in user, with the key itself, by the command line, in the set-up, by Latchkey itself."`
	ActorID    string    `query:"actor_id" maxLength:"64" pattern:"^[A-Za-z0-9_.:-]*$" patternDescription:"letters, digits and any of _ . : -" doc:"The id of a key or a user; for the command line the account of the operating system."`
	Action     string    `query:"action" maxLength:"130" pattern:"^[a-z_]+\\.([a-z_]+|\\*)$" patternDescription:"an action, such as key.revoke, or key.* for all of a kind" doc:"One action, such as key.revoke, or key.* for all that is done to keys." example:"key.*"`
	TargetKind string    `query:"target_kind" maxLength:"64" pattern:"^[a-z_]*$" patternDescription:"a word of a-z and _" example:"key" doc:"To what kind of thing, such as key, user, plan or subscription."`
	TargetID   string    `query:"target_id" maxLength:"64" pattern:"^[A-Za-z0-9_.:-]*$" patternDescription:"letters, digits and any of _ . : -" doc:"To which, by its id."`
	RequestID  string    `query:"request_id" maxLength:"64" pattern:"^[A-Za-z0-9.-]*$" patternDescription:"letters, digits, . and -" doc:"By which request, as its X-Request-Id says."`
	Since      time.Time `query:"since" doc:"The first moment, RFC 3339."`
	Until      time.Time `query:"until" doc:"The first moment after."`
}

func (f EventFilter) query() journal.Query {
	return journal.Query{
		ActorKind: f.ActorKind, ActorID: f.ActorID, TargetKind: f.TargetKind, TargetID: f.TargetID,
		Action: journal.Action(f.Action), RequestID: f.RequestID, Since: f.Since, Until: f.Until,
	}
}

type listEventsInput struct {
	PageInput
	EventFilter
}

type exportEventsInput struct{ EventFilter }

func (a *api) registerAudit() {
	list := operation(http.MethodGet, "/api/v1/audit-events", "Audit", "list-audit-events", "List audit events", access.AuditRead)
	list.Description += " What meets every filter that is given is listed, the newest first."
	huma.Register(a.huma, list, a.listEvents)

	export := operation(http.MethodGet, "/api/v1/audit-events/export", "Audit", "export-audit-events", "Export audit events", access.AuditRead)
	export.Description += " The answer is a stream of one JSON object a line, the newest first, each as in the list. A stream that ends before its end is cut off, never closed as if it were whole."
	export.Responses = map[string]*huma.Response{"200": {Description: "Events, one a line.", Content: map[string]*huma.MediaType{
		ndjson: {Schema: &huma.Schema{Type: huma.TypeString}, Example: `{"number":17,"action":"key.revoke"}`},
	}}}
	huma.Register(a.huma, export, a.exportEvents)

	verify := operation(http.MethodGet, "/api/v1/audit-events/verify", "Audit", "verify-audit-events", "Verify the audit log", access.AuditRead)
	verify.Description += fmt.Sprintf(" Every row is read and its seal compared; after %d seconds the answer is `incomplete`, and `latchkey audit verify` has no such limit. A broken log is a result, not an error.", int(verifyPatience.Seconds()))
	huma.Register(a.huma, verify, a.verifyEvents)
}

func (a *api) listEvents(ctx context.Context, in *listEventsInput) (*listOutput[eventView], error) {
	q := in.query()
	var err error
	if q.After, err = positionAfter(in.Cursor); err != nil {
		return nil, err
	}
	q.Limit = in.Limit + 1
	events, err := a.Services.Audit.Events(ctx, caller(ctx), q)
	if err != nil {
		return nil, err
	}
	return pageOf(in.PageInput, events, viewEvent, func(e journal.Event) string {
		p := e.Position()
		return fmt.Sprintf("%d.%d", p.Micro, p.Number)
	}), nil
}

// positionAfter reads a cursor; "" is the beginning.
func positionAfter(cursor string) (p journal.Position, err error) {
	if cursor == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		_, err = fmt.Sscanf(string(b), "%d.%d", &p.Micro, &p.Number)
	}
	if err != nil || fmt.Sprintf("%d.%d", p.Micro, p.Number) != string(b) || p.Number < 1 {
		return journal.Position{}, invalid("query.cursor", "next_cursor of a page of this list")
	}
	return p, nil
}

const (
	ndjson = "application/x-ndjson"
	// eventPatience is how long a client may take for a part of an export.
	eventPatience = 30 * time.Second
	// verifyPatience is less than what a listener gives to an answer.
	verifyPatience = 20 * time.Second
)

func (a *api) exportEvents(ctx context.Context, in *exportEventsInput) (*huma.StreamResponse, error) {
	events, err := a.Services.Audit.Export(ctx, caller(ctx), in.query())
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		streamLines(ctx, `attachment; filename="audit-events.ndjson"`, func(write func(any) error) error {
			for e, err := range events {
				if err := errors.Join(err, ctx.Context().Err()); err != nil {
					return err
				}
				if err := write(viewEvent(e)); err != nil {
					return err
				}
			}
			return nil
		})
	}}, nil
}

type verifyOutput struct{ Body ChainView }

// ChainView is what a verification of the audit log found, as the API answers it
// and the command line prints it.
type ChainView struct {
	Status     string          `json:"status" enum:"whole,broken,incomplete" doc:"incomplete: the time was over; what was read until then is right."`
	Rows       int64           `json:"rows" doc:"How many rows were read and are right." example:"1042"`
	Head       *headView       `json:"head,omitempty" doc:"The last of them."`
	Checkpoint *checkpointView `json:"checkpoint,omitempty" doc:"What stands for the rows that were pruned, where any was."`
	Broken     *brokenView     `json:"broken,omitempty" doc:"The first row that is wrong."`
}

type headView struct {
	Number int64  `json:"number" example:"1042"`
	Hash   string `json:"hash" doc:"Its seal, in hexadecimal. N:HASH is what latchkey audit verify takes as --head." example:"57cf1e225a9428c8af985c5dc0dc2092ed90e05e871b99197c67ccc71a9a5d9a"`
}

type checkpointView struct {
	Number int64     `json:"number" doc:"The last row that was pruned."`
	Hash   string    `json:"hash"`
	At     time.Time `json:"at"`
	Actor  actorView `json:"actor"`
}

type brokenView struct {
	Number int64  `json:"number"`
	Why    string `json:"why" example:"its seal does not fit its text and the row before"`
}

func (a *api) verifyEvents(ctx context.Context, _ *struct{}) (*verifyOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	report, err := a.Services.Audit.Verify(ctx, caller(ctx), journal.Head{})
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	v := ViewChain(report)
	if err != nil {
		v.Status = "incomplete"
	}
	return &verifyOutput{Body: v}, nil
}

// ViewChain shows what a verification found.
func ViewChain(r journal.Report) ChainView {
	v := ChainView{Status: "whole", Rows: r.Rows}
	if r.Head.Number > 0 {
		v.Head = &headView{Number: r.Head.Number, Hash: hex.EncodeToString(r.Head.MAC)}
	}
	if c := r.Checkpoint; c != nil {
		v.Checkpoint = &checkpointView{
			Number: c.Number, Hash: hex.EncodeToString(c.MAC), At: c.At.UTC(),
			Actor: actorView{Kind: string(c.Actor.Kind), ID: orNull(c.Actor.ID), Name: orNull(c.Actor.Name)},
		}
	}
	if r.Broken != 0 {
		v.Status, v.Broken = "broken", &brokenView{Number: r.Broken, Why: r.Why}
	}
	return v
}
