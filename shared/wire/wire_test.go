package wire_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/wire"
)

func full() apikey.Record {
	return apikey.Record{
		Change: 812, DependsOn: apikey.NewStrings("key_1", "usr_1", "sub_1", "pln_1"),
		Key: apikey.Key{
			ID: "key_1", Name: "ci", Kind: apikey.KindAPI, Environment: apikey.Live, Scopes: apikey.NewStrings("reports:read"),
			Metadata: `{"team":"a"}`, AllowCIDRs: apikey.NewCIDRs(netip.MustParsePrefix("10.0.0.0/8")),
			AllowMethods: apikey.NewStrings("GET"), NotBefore: 1, ExpiresAt: apikey.InstantOf(time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC)),
		},
		User:         apikey.User{ID: "usr_1", Name: "Ada", ExternalID: "7"},
		Subscription: apikey.Subscription{ID: "sub_1", PlanID: "pln_1", Plan: "pro", Status: apikey.Trialing, TrialEndsAt: 5},
	}
}

// binary is a record as bytes, to compare.
func binary(t *testing.T, r apikey.Record) []byte {
	t.Helper()
	b, err := r.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	record := full()
	b, err := wire.EncodeRecord("e1", &record)
	if err != nil {
		t.Fatal(err)
	}
	epoch, got, found, err := wire.DecodeRecord(b)
	if err != nil || !found || epoch != "e1" || !bytes.Equal(binary(t, got), binary(t, record)) {
		t.Errorf("%v %v %q\n%s", err, found, epoch, b)
	}
	if b, err = wire.EncodeNone("e1", 9); err != nil {
		t.Fatal(err)
	}
	if want := `{"v":1,"found":false,"epoch":"e1","change":9}`; string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
	epoch, got, found, err = wire.DecodeRecord(b)
	if err != nil || found || epoch != "e1" || got.Change != 9 || got.Key.ID != "" {
		t.Errorf("%v %v %q %+v", err, found, epoch, got)
	}
}

// A later control plane may add members; a check that this build does not know
// it names in needs, and nothing is decided.
func TestAnOldGatewayNeverFailsOpenOnANewRule(t *testing.T) {
	t.Parallel()
	record := full()
	b, err := wire.EncodeRecord("e1", &record)
	if err != nil {
		t.Fatal(err)
	}
	request := &apikey.Request{IP: netip.MustParseAddr("10.1.1.1"), Method: "GET"}
	for name, test := range map[string]struct {
		old, new string
		want     apikey.Code
	}{
		"unknown members": {`"key":{`, `"moon":{"phase":[1]},"key":{"phase":"full",`, apikey.TrialEnded},
		"unknown needs":   {`"needs":[]`, `"needs":["moon_phase"]`, apikey.Undecided},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(b), test.old, test.new, 1)
			if changed == string(b) {
				t.Fatalf("nothing to change in %s", b)
			}
			_, got, found, err := wire.DecodeRecord(jsontext.Value(changed))
			if err != nil || !found {
				t.Fatalf("%v %v", found, err)
			}
			if code := apikey.Decide(apikey.InstantOf(time.Now()), &got, request); code != test.want {
				t.Errorf("%s, want %s", code, test.want)
			}
		})
	}
}

// Every member of a record is needed: one that is left out might be the one that
// refuses.
func TestARecordWithoutAMemberIsTorn(t *testing.T) {
	t.Parallel()
	record := full()
	b, err := wire.EncodeRecord("e1", &record)
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	var without func(object map[string]any, whole func() any)
	without = func(object map[string]any, whole func() any) {
		for _, name := range slices.Collect(maps.Keys(object)) {
			value := object[name]
			delete(object, name)
			b, err := json.Marshal(whole())
			if err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := wire.DecodeRecord(b); !errors.Is(err, wire.ErrTorn) {
				t.Errorf("without %s: %v", name, err)
			}
			removed++
			object[name] = value
			if inner, ok := value.(map[string]any); ok {
				without(inner, whole)
			}
		}
	}
	var object map[string]any
	if err := json.Unmarshal(b, &object); err != nil {
		t.Fatal(err)
	}
	without(object, func() any { return object })
	if removed < 30 {
		t.Errorf("only %d members were tried", removed)
	}
	for i := range b {
		if _, _, found, err := wire.DecodeRecord(b[:i]); err == nil || found {
			t.Fatalf("half a record of %d bytes is one", i)
		}
	}
}

func TestWhatIsNoRecord(t *testing.T) {
	t.Parallel()
	record := full()
	whole, err := wire.EncodeRecord("e1", &record)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ old, new string }{
		"another version":   {`"v":1`, `"v":2`},
		"no epoch":          {`"epoch":"e1"`, `"epoch":""`},
		"a negative change": {`"change":812`, `"change":-1`},
		"not found":         {`"found":true`, `"found":false`},
		"no key id":         {`"id":"key_1"`, `"id":""`},
		"of another key":    {`"key_1","usr_1"`, `"key_2","usr_1"`},
		"a name twice":      {`"disabled":false`, `"disabled":true,"disabled":false`},
		"another type":      {`"disabled":false`, `"disabled":"no"`},
		"unknown state":     {`"trialing"`, `"hibernating"`},
		"unknown kind":      {`"kind":"api"`, `"kind":"setup"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := strings.Replace(string(whole), test.old, test.new, 1)
			if b == string(whole) {
				t.Fatalf("nothing to change in %s", whole)
			}
			if _, _, found, err := wire.DecodeRecord(jsontext.Value(b)); !errors.Is(err, wire.ErrTorn) || found {
				t.Errorf("%v %v", found, err)
			}
		})
	}
	for _, b := range []string{"", "null", "{}", "[]", "7", `"v"`, `{"v":1}`, `{"v":1,"found":false}`, `{"v":1,"found":true,"epoch":"e","change":1}`} {
		if _, _, found, err := wire.DecodeRecord(jsontext.Value(b)); err == nil || found {
			t.Errorf("%s is a record", b)
		}
	}
}

func TestEventsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	change := wire.Change{IDs: []string{"key_1", "a\nb"}, Kind: wire.Forget, Ack: true}
	head := wire.Head{Number: 7, Epoch: "e", Prefixes: []string{"lk"}}
	b, number := []byte(wire.Keepalive), int64(0)
	for _, e := range []struct {
		name string
		id   int64
		data any
	}{{wire.EventReset, 0, head}, {wire.EventChange, 7, change}, {"of tomorrow", 0, "?"}, {wire.EventHead, 0, head}} {
		var err error
		number++
		if b, err = wire.AppendEvent(wire.AppendSequence(b, number), e.name, e.id, e.data); err != nil {
			t.Fatal(err)
		}
		b = append(b, wire.Keepalive...)
	}
	in := wire.NewEventReader(bytes.NewReader(append(b, "event: head\ndata: {"...))) // and half of one
	var names []string
	for {
		e, err := in.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		names = append(names, e.Name)
		switch e.Name {
		case wire.EventChange:
			if got, err := wire.DecodeChange(e.Data); err != nil || e.ID != 7 || !cmp.Equal(got, change) {
				t.Errorf("%v %+v", err, got)
			}
		case wire.EventHead, wire.EventReset:
			if got, err := wire.DecodeHead(e.Data); err != nil || !cmp.Equal(got, head) {
				t.Errorf("%v %+v", err, got)
			}
		}
	}
	if want := []string{"reset", "change", "of tomorrow", "head"}; !cmp.Equal(names, want) {
		t.Error(names)
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"an id that is no number": "event: change\nid: x\ndata: {}\n\n",
		"an id of nothing":        "event: change\nid: 0\ndata: {}\n\n",
		"a number that is none":   "seq: x\nevent: change\ndata: {}\n\n",
		"not the first":           "seq: 2\nevent: change\ndata: {}\n\n",
		"noise for the first":     "\xff{\n\nseq: 2\nevent: head\ndata: {}\n\n",
		"data in two lines":       "event: change\ndata: {\ndata: }\n\n",
		"an endless line":         "data: " + strings.Repeat("x", wire.MaxEvent),
		"an endless event":        "event: x\n" + strings.Repeat(strings.Repeat("y", 1000)+"\n", wire.MaxEvent/1000+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if e, err := wire.NewEventReader(strings.NewReader(text)).Next(); !errors.Is(err, wire.ErrEvent) {
				t.Errorf("%+v %v", e, err)
			}
		})
	}
	for _, data := range []string{"", "{}", "[]", `{"ids":[]}`, `{"ids":["key_1"]}`, `{"ids":null,"kind":"forget"}`} {
		if c, err := wire.DecodeChange([]byte(data)); !errors.Is(err, wire.ErrEvent) {
			t.Errorf("%s is a change: %+v", data, c)
		}
	}
	for _, data := range []string{"", "{}", `{"number":-1,"epoch":"e"}`, `{"number":1}`} {
		if h, err := wire.DecodeHead([]byte(data)); !errors.Is(err, wire.ErrEvent) {
			t.Errorf("%s is a head: %+v", data, h)
		}
	}
}

func TestTheQueryOfAStreamComesBack(t *testing.T) {
	t.Parallel()
	g := wire.Gateway{Instance: "i", Name: "a & b", Version: "1", BudgetMS: 900_000}
	for name, test := range map[string]struct{ asked, want wire.Position }{
		"a place":             {wire.Position{After: 7, Epoch: "e"}, wire.Position{After: 7, Epoch: "e"}},
		"the beginning":       {wire.Position{Epoch: "e"}, wire.Position{Epoch: "e"}},
		"none":                {wire.Position{}, wire.Position{}},
		"a number of nothing": {wire.Position{After: 7}, wire.Position{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, place, err := wire.ParseChangesQuery(wire.ChangesQuery(g, test.asked))
			if err != nil || got != g || place != test.want {
				t.Errorf("%v %+v %+v", err, got, place)
			}
		})
	}
	for _, bad := range []string{"after=x", "after=-1", "stale_budget_ms=-1", "after=9223372036854775808"} {
		q, _ := url.ParseQuery(bad)
		if _, _, err := wire.ParseChangesQuery(q); err == nil {
			t.Errorf("%s is a query", bad)
		}
	}
}
