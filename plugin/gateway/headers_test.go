package gateway_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
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
