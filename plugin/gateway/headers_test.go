package gateway_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/latchkey/latchkey/plugin/gateway"
)

func headersOf(p *gateway.Phase) (map[string][]string, error) {
	m := map[string][]string{}
	err := p.Headers(func(name, value []byte) { m[string(name)] = append(m[string(name)], string(value)) })
	return m, err
}

func TestListsThatKongCutShort(t *testing.T) {
	t.Parallel()
	many := &structpb.ListValue{}
	for range 1000 {
		many.Values = append(many.Values, structpb.NewStringValue("v"))
	}
	w := answering(message(&structpb.Struct{Fields: map[string]*structpb.Value{"x": structpb.NewListValue(many)}}))
	p := gateway.NewPhase(gateway.NewConn(w))
	if err := headers(p); !errors.Is(err, gateway.ErrTooMany) {
		t.Errorf("error %v, want ErrTooMany", err)
	}
	if p.Err() != nil || !p.InSync() {
		t.Error("the phase is spent; the caller could not refuse any more")
	}
}

// What is sent without a value is visited and counted, however Kong writes it.
func TestHeadersWithoutValues(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer string
		want   map[string][]string
	}{
		"a list of nothing":  {"\x0a\x0b\x0a\x01x\x12\x06\x32\x04\x0a\x00\x0a\x00", map[string][]string{"x": {"", ""}}},
		"a list, empty":      {"\x0a\x07\x0a\x01x\x12\x02\x32\x00", map[string][]string{"x": {""}}},
		"no kind":            {"\x0a\x05\x0a\x01x\x12\x00", map[string][]string{"x": {""}}},
		"no value":           {"\x0a\x03\x0a\x01x", map[string][]string{"x": {""}}},
		"value before name":  {"\x0a\x08\x12\x03\x1a\x01v\x0a\x01x", map[string][]string{"x": {"v"}}},
		"no headers":         {"", map[string][]string{}},
		"no name, not UTF-8": {"\x0a\x05\x12\x03\x1a\x01\xff", map[string][]string{"": {"\xff"}}},
	} {
		got, err := headersOf(gateway.NewPhase(gateway.NewConn(answering(tc.answer))))
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// Whatever Kong's answer holds, reading it does not fail otherwise than with an
// error; and what the official decoder takes for a table of texts and lists of
// them is visited as such, written as the official encoder writes it.
func FuzzHeaders(f *testing.F) {
	for _, table := range []map[string]any{
		{}, {"a": "b"}, {"a": []any{"b", ""}, "x_y": "z"}, {"a": true}, {"a": []any{}}, {"a": []any{[]any{"b"}}},
	} {
		s, err := structpb.NewStruct(table)
		if err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = headersOf(gateway.NewPhase(gateway.NewConn(answering(string(b)))))
		var table structpb.Struct
		if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, &table) != nil {
			return
		}
		want, texts := map[string][]string{}, true
		for name, v := range table.Fields {
			list, isList := v.GetKind().(*structpb.Value_ListValue)
			if isList && len(list.ListValue.GetValues()) > 0 {
				for _, item := range list.ListValue.Values {
					_, isText := item.GetKind().(*structpb.Value_StringValue)
					texts = texts && isText
					want[name] = append(want[name], item.GetStringValue())
				}
				continue
			}
			_, isText := v.GetKind().(*structpb.Value_StringValue)
			texts = texts && (isText || isList || v.GetKind() == nil)
			want[name] = []string{v.GetStringValue()}
		}
		if !texts || len(b) > 10_000 {
			return // of other kinds, or more of them than Kong tells
		}
		got, err := headersOf(gateway.NewPhase(gateway.NewConn(answering(message(&table)))))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
