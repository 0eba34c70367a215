package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/latchkey/latchkey/controlplane/internal/access"
	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/field"
	"github.com/latchkey/latchkey/controlplane/internal/id"
	"github.com/latchkey/latchkey/controlplane/internal/keys"
	"github.com/latchkey/latchkey/shared/apikey"
)

// KeyFilter are the query parameters by which keys are found. It is exported
// because huma fills in only exported embedded structs.
type KeyFilter struct {
	Kind           string    `query:"kind" enum:"api,management" doc:"api: for your services. management: for this API."`
	OwnerID        string    `query:"owner_id" maxLength:"64" doc:"Keys of this user." example:"usr_0190c2f57d3a7c3e8f5a2b6d1c9e4a70"`
	Plan           string    `query:"plan" maxLength:"64" example:"pro" doc:"The slug of a plan."`
	Status         string    `query:"status" enum:"active,retiring,not_yet_valid,expired,disabled,retired,revoked" doc:"As of now."`
	Environment    string    `query:"environment" enum:"live,test"`
	Tag            string    `query:"tag" maxLength:"64" doc:"Keys with exactly this tag." example:"team/billing"`
	Scope          string    `query:"scope" maxLength:"64" example:"reports:read" doc:"Keys that carry this scope or one that covers it, such as reports:*."`
	ExpiresBefore  time.Time `query:"expires_before" doc:"Keys whose expires_at is before this, RFC 3339."`
	LastUsedBefore time.Time `query:"last_used_before" doc:"Keys that were last used before this, RFC 3339, or never."`
	Q              string    `query:"q" maxLength:"200" example:"ci" doc:"A part of the name, of the start or of the last four, of 3 to 64 characters, in either case. Never a key: see POST /api/v1/keys/lookup."`
	Sort           string    `query:"sort" enum:"created_at,-created_at,name,-name,expires_at,-expires_at,last_used_at,-last_used_at" default:"-created_at" doc:"The order of the list. A - before it stands for the reverse. What never expires comes after what does, what was never used before what was. A key that is used while its list is read may move to another page."`
}

type listKeysInput struct {
	KeyFilter
	Cursor string `query:"cursor" maxLength:"2400" doc:"next_cursor of the page before, with the same filters and order; the first page without."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
}

type exportKeysInput struct{ KeyFilter }

type lookupKeyInput struct {
	Body struct {
		AuthKey string `json:"auth_key" minLength:"1" maxLength:"512" example:"lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR" doc:"A whole key, of whatever kind; white space around it, which comes with pasting, is left out. It is turned into a fingerprint at once and kept nowhere."`
	}
}

func (a *api) registerKeyLists() {
	list := operation(http.MethodGet, "/api/v1/keys", "Keys", "list-keys", "List keys", access.KeysRead)
	list.Description += " What meets every filter that is given is listed."
	huma.Register(a.huma, list, a.listKeys)
	export := operation(http.MethodGet, "/api/v1/keys/export", "Keys", "export-keys", "Export keys as CSV", access.KeysRead)
	export.Description += " A stream of everything that the filters leave, a line per key (RFC 4180). Cells that a spreadsheet would take for a formula begin with an apostrophe. A stream that ends before its end is cut off, never closed as if it were whole."
	export.Responses = map[string]*huma.Response{"200": {Description: "Keys, one a line, after a line of names.", Content: map[string]*huma.MediaType{
		csvType: {Schema: &huma.Schema{Type: huma.TypeString}, Example: strings.Join(csvColumns, ",")},
	}}}
	huma.Register(a.huma, export, a.exportKeys)
	lookup := operation(http.MethodPost, "/api/v1/keys/lookup", "Keys", "lookup-key", "Find a key by its secret", access.KeysRead)
	lookup.Description += " For a key that turned up somewhere: whose is it?"
	huma.Register(a.huma, lookup, func(ctx context.Context, in *lookupKeyInput) (*resource[KeyView], error) {
		token, ok := a.Prefixes().Parse(strings.TrimSpace(in.Body.AuthKey))
		k, err := a.Services.Keys.ByFingerprint(ctx, caller(ctx), token.Fingerprint) // of no key, where it has no shape
		if !ok && fault.Is(err, fault.NotFound) {
			err = fault.New(fault.NotFound, "this is no key of this installation: its prefix, length or checksum is another")
		}
		return a.keyAnswer(k, err)
	})
}

func (a *api) listKeys(ctx context.Context, in *listKeysInput) (*listOutput[KeyView], error) {
	f, err := a.filterOf(&in.KeyFilter)
	if err != nil {
		return nil, err
	}
	if err := placeAfter(in.Cursor, in.Sort, &f); err != nil {
		return nil, err
	}
	f.Limit = in.Limit + 1
	all, err := a.Services.Keys.List(ctx, caller(ctx), f)
	if err != nil {
		return nil, err
	}
	return pageOf(PageInput{Limit: in.Limit}, all, a.viewKey, func(k keys.Key) string { return placeOf(&k, in.Sort) }), nil
}

// filterOf parses the query.
func (a *api) filterOf(in *KeyFilter) (keys.Filter, error) {
	var wrong fault.Fields
	f := keys.Filter{
		OwnerID: optionalID[id.UserKind](&wrong, "query.owner_id", in.OwnerID), Plan: in.Plan, Status: keys.Status(in.Status),
		Tag: in.Tag, Scope: in.Scope, Search: in.Q,
		SortBy: keys.SortBy(strings.TrimPrefix(in.Sort, "-")), Ascending: !strings.HasPrefix(in.Sort, "-"),
	}
	if in.Sort == "" {
		f.Ascending = false
	}
	if !in.ExpiresBefore.IsZero() {
		f.ExpiresBefore = &in.ExpiresBefore
		field.Time(&wrong, "query.expires_before", f.ExpiresBefore)
	}
	if !in.LastUsedBefore.IsZero() {
		f.LastUsedBefore = &in.LastUsedBefore
		field.Time(&wrong, "query.last_used_before", f.LastUsedBefore)
	}
	f.Environment, _ = apikey.ParseEnvironment(in.Environment)
	f.Kind = kindOf(in.Kind)
	a.keepKeysOut(&wrong, "query.q", in.Q)
	return f, wrong.Err()
}

// keepKeysOut refuses a text of an address in which a key stands: addresses end
// up in logs and histories.
func (a *api) keepKeysOut(wrong *fault.Fields, location, text string) {
	for part := range strings.FieldsFuncSeq(text, notInKeys) {
		wrong.Check(!a.Prefixes().Resembles(part), location,
			"no whole key: it would end up in logs and histories. POST /api/v1/keys/lookup takes one; if this one is in use, revoke it")
	}
}

// notInKeys reports whether a character ends a key that stands in a text.
func notInKeys(c rune) bool {
	return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

func kindOf(name string) *apikey.Kind {
	kind := apikey.KindAPI
	switch name {
	case "":
		return nil
	case apikey.KindManagement.String():
		kind = apikey.KindManagement
	}
	return &kind
}

// place is where a page ended: the order, the last key, and what it is ordered
// by.
type place struct {
	Sort    string     `json:"s"`
	ID      id.Key     `json:"i"`
	Created time.Time  `json:"c,omitzero"`
	Name    string     `json:"n,omitempty"`
	Expires *time.Time `json:"e,omitempty"`
	Used    *time.Time `json:"u,omitempty"`
}

func placeOf(k *keys.Key, sort string) string {
	p := place{Sort: sort, ID: k.ID}
	switch keys.SortBy(strings.TrimPrefix(sort, "-")) {
	case keys.ByName:
		p.Name = k.Name
	case keys.ByExpiry:
		p.Expires = k.ExpiresAt
	case keys.ByLastUse:
		p.Used = k.LastUsedAt
	default:
		p.Created = k.CreatedAt
	}
	b, _ := json.Marshal(p) // texts and times only
	return string(b)
}

// placeAfter moves a filter behind a cursor; "" is the beginning.
func placeAfter(cursor, sort string, f *keys.Filter) error {
	if cursor == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	var p place
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	var wrong fault.Fields // a time that this list never told may be one that the database does not know
	field.Time(&wrong, "", p.Expires)
	field.Time(&wrong, "", p.Used)
	if !p.Created.IsZero() {
		field.Time(&wrong, "", &p.Created)
	}
	if err != nil || wrong.Err() != nil || p.Sort != sort || p.ID.IsZero() || strings.ContainsRune(p.Name, 0) {
		return invalid("query.cursor", "next_cursor of a page of this list in the same order")
	}
	f.After, f.AfterCreated, f.AfterName, f.AfterExpires, f.AfterUsed = p.ID, p.Created, p.Name, p.Expires, p.Used
	return nil
}
