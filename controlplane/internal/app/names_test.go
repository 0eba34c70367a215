package app_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/controlplane/internal/pgtest"
)

// What an address or a body names must be there, be of the kind, and be seen: ids
// of another kind, of nothing, of what was deleted and of somebody else are told
// apart by no more than that.
func TestIDsThatNameNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, pgtest.DSN(t)))
	f := newFeeder(s)
	fed := 0
	for _, o := range s.operations {
		good := f.good(o)
		if own := good.path["id"]; own != "" {
			fed++
			kind, _, _ := strings.Cut(own, "_")
			for what, id := range f.strangers(kind) {
				q := *good
				q.path = map[string]string{"id": id}
				if strings.HasPrefix(o.Path, "/api/v1/me/") && what == "of nothing" {
					q.path["id"] = f.make(kind, &actor{}) // somebody else's
				}
				if a := f.judge(&q, "an id "+what); a.status != 404 || a.code() != "NOT_FOUND" {
					t.Errorf("%s with an id %s: %d %s", o.ID, what, a.status, a.raw)
				}
			}
		}
		for _, p := range f.places(o) {
			example, _ := f.example(p.schema)
			text, _ := example.(string)
			found := anID.FindStringSubmatch(text)
			if found == nil {
				continue
			}
			fed++
			for what, id := range f.strangers(found[1]) {
				q := *good
				q.query = maps.Clone(good.query)
				p.put(&q, id)
				a := f.judge(&q, p.at()+" "+what)
				if nothing := p.in == "query" && a.status == 200 && len(ids(a)) == 0; !nothing && (a.status != 422 || len(messagesAt(a, p.at())) == 0) {
					t.Errorf("%s: %s %s: %d %s", o.ID, p.at(), what, a.status, a.raw)
				}
			}
		}
	}
	if fed < 35 {
		t.Errorf("only %d places of ids", fed)
	}
}

// good is a request that would be carried out.
func (f *feeder) good(o *operation) *request {
	examples, err := f.examples(o)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.exemplary(o, examples[slices.Sorted(maps.Keys(examples))[0]], f.callerOf(o))
}

// strangers are ids in the place of one of a kind.
func (f *feeder) strangers(kind string) map[string]string {
	all := map[string]string{
		"of nothing": kind + "_0190c2f57d3a7c3e8f5a2b6d1c9e4a7f", "cut off": kind + "_0190c2f57d3a7c3e", "in capitals": strings.ToUpper(kind) + "_0190C2F57D3A7C3E8F5A2B6D1C9E4A7F",
		"bare": "0190c2f5-7d3a-7c3e-8f5a-2b6d1c9e4a7f", "that is a secret": f.secret,
	}
	for other, id := range f.others {
		if other != kind {
			all["of the kind "+other] = id
		}
	}
	if kind == "key" || kind == "ses" { // others are never removed
		all["of what was deleted"] = f.gone[kind]
	}
	return all
}

// A change on condition is made on the version that was named, and on no other;
// what names no version is not taken for none.
func TestConditions(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, pgtest.DSN(t)))
	f := newFeeder(s)
	conditional := 0
	for _, o := range s.operations {
		if !slices.ContainsFunc(o.Parameters, func(p parameter) bool { return p.Name == "If-Match" }) {
			continue
		}
		conditional++
		for _, condition := range []string{"as it was read", "*", `"0"`, `"-1"`, `"9999"`, `"x"`, "x", `""`, `"1", "2"`, `"99999999999999999999"`, f.secret} {
			q, want := f.good(o), http.StatusPreconditionFailed
			if q.header["If-Match"] = condition; condition == "as it was read" {
				at := strings.Split(o.Path, "{id}")[0] + q.path["id"]
				q.header["If-Match"] = f.call(f.admin, "GET", at, nil, 200).header.Get("ETag")
			}
			if condition == "as it was read" || condition == "*" {
				want = http.StatusOK
			}
			if a := f.judge(q, "If-Match: "+condition); a.status != want {
				t.Errorf("%s with If-Match %s: %d %s", o.ID, condition, a.status, a.raw)
			}
		}
	}
	if conditional < 10 {
		t.Errorf("only %d operations take a condition", conditional)
	}
}

// A cursor is of its list: one of another, a changed one and what is none are
// refused, for what would follow is not what was asked for.
func TestCursorsOfOtherLists(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, pgtest.DSN(t)))
	f := newFeeder(s)
	plain := func(list string) string { return strings.Replace(list, "-my-", "-", 1) } // one's own keys are keys
	lists, cursors := map[string]*request{}, map[string]string{}
	for _, o := range s.operations {
		if !slices.ContainsFunc(o.Parameters, func(p parameter) bool { return p.Name == "cursor" }) {
			continue
		}
		q := f.good(o)
		if kind := kinds[o.Path[strings.LastIndexByte(o.Path, '/')+1:]]; kind != "" { // so that there is a second page
			f.make(kind, q.by)
			f.make(kind, q.by)
		}
		q.query.Set("limit", "1")
		lists[o.ID] = q
		if cursors[o.ID] = f.judge(q, "no cursor").text("next_cursor"); cursors[o.ID] == "" {
			t.Fatalf("%s has no second page", o.ID)
		}
	}
	for list, q := range lists {
		wrong := []string{"x", "e30", "bnVsbA", base64.RawURLEncoding.EncodeToString([]byte(f.secret)), strings.Repeat("A", 200), cursors[list] + "AAAA"}
		for other, cursor := range cursors {
			if plain(list) != plain(other) {
				wrong = append(wrong, cursor)
			}
		}
		for _, cursor := range wrong {
			q.query.Set("cursor", cursor)
			if a := f.judge(q, "cursor "+cursor); a.status != 422 || len(messagesAt(a, "query.cursor")) == 0 {
				t.Errorf("%s after %q: %d %s", list, cursor, a.status, a.raw)
			}
		}
	}
	if len(lists) < 9 {
		t.Errorf("only %d lists", len(lists))
	}
}
