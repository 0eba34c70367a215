package kongtest

import (
	"bufio"
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNormalPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/t/Abc%20123%C3%B8%2f/parent/..//test/./": "/t/Abc 123ø%2F/test/", // Kong's own example
		"/":            "/",
		"":             "",
		"/a/..":        "/",
		"/..":          "/",
		"/../../a":     "/a",
		"/a//b///c":    "/a/b/c",
		"/%2e%2E/a":    "/a",
		"/a/.b/..c":    "/a/.b/..c",
		"/%zz%4":       "/%zz%4",
		"/%2e/%61dmin": "/admin",
	} {
		if got := (&Request{Path: in}).normalPath(); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestQueryTable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]table{
		"":                {},
		"&&=x&=":          {},
		"a":               {"a": true},
		"a=":              {"a": ""},
		"a=1&a&a=%3d=&+b": {"a": list{"1", true, "=="}, " b": true},
		"a=%&b=%4":        {"a": "%", "b": "%4"},
	} {
		if diff := cmp.Diff(want, (&Request{Query: in}).queryTable(defaultMost)); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
	if got := (&Request{Query: "a&b&c"}).queryTable(2); len(got) != 2 {
		t.Errorf("bounded by 2: %v", got)
	}
}

func TestSetHeaders(t *testing.T) {
	t.Parallel()
	sent := Headers{{"X-A", "1"}, {"x_a", "2"}, {"x-a", "3"}, {"B", "b"}}
	for name, tc := range map[string]struct {
		set  table
		want Headers
		err  bool
	}{
		"cleared by exact name":        {table{"X-A": list{}}, Headers{{"x_a", "2"}, {"B", "b"}}, false},
		"the underscore form too":      {table{"X-A": list{}, "X_A": list{}}, Headers{{"B", "b"}}, false},
		"replaced, several":            {table{"X-A": list{"n", "m"}, "X_a": list{}, "b": list{}}, Headers{{"X-A", "n"}, {"X-A", "m"}}, false},
		"empty is a space":             {table{"b": list{""}, "x-a": list{}, "x_a": list{}}, Headers{{"b", " "}}, false},
		"line ends are escaped":        {table{"b": list{"1\r\nX: y"}, "x-a": list{}, "x_a": list{}}, Headers{{"b", "1%0D%0AX: y"}}, false},
		"a number":                     {table{"b": float64(4), "x-a": list{}, "x_a": list{}}, Headers{{"b", "4"}}, false},
		"not a header value":           {table{"b": table{"a": "b"}}, sent, true},
		"not a header value in a list": {table{"b": list{true}}, sent, true},
	} {
		h := append(Headers(nil), sent...)
		got, err := setAll(h, tc.set)
		if diff := cmp.Diff(tc.want, got); diff != "" || (err != nil) != tc.err {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestNginx(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		req  Request
		want int
	}{
		"nothing":                {Request{}, 0},
		"bytes":                  {Request{Path: "/\xff", Query: "\xfe", Headers: Headers{{"A_b", "\x01\x7f\xff"}}}, 0},
		"lower-case method":      {Request{Method: "get"}, 400},
		"a space in the path":    {Request{Path: "/a b"}, 400},
		"a control in a query":   {Request{Query: "a=\x01"}, 400},
		"no path":                {Request{Path: "*"}, 400},
		"NUL in a value":         {Request{Headers: Headers{{"A", "a\x00b"}}}, 400},
		"a space in a name":      {Request{Headers: Headers{{"A b", ""}}}, 400},
		"no name":                {Request{Headers: Headers{{"", "a"}}}, 400},
		"one repeated":           {Request{Headers: Headers{{"A", "a"}, {"A", "b"}}}, 0},
		"one that may not":       {Request{Headers: Headers{{"Authorization", "a"}, {"authorization", "b"}}}, 400},
		"as many as there are":   {Request{Headers: append(padding(999), Header{"Host", "a"})}, 0},
		"more than there may be": {Request{Headers: padding(1000)}, 400},
	} {
		if got := tc.req.Nginx(); got != tc.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func padding(n int) Headers { return slices.Repeat(Headers{{"A", "b"}}, n) }

func TestWire(t *testing.T) {
	t.Parallel()
	req := Request{Method: "POST", Path: "/a", Query: "b&c=%20", ClientIP: "2001:db8::1", Headers: Headers{{"x_A", "1"}, {"X-a", ""}, {"B", "\xff"}}, Body: []byte("body")}
	b, err := req.Wire("h.test")
	want := "PROXY TCP6 2001:db8::1 ::1 40000 8000\r\nPOST /a?b&c=%20 HTTP/1.1\r\nHost: h.test\r\nx_A: 1\r\nX-a: \r\nB: \xff\r\n\r\nbody"
	if string(b) != want || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	r := bufio.NewReader(bytes.NewReader(b))
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRequest(r)
	sent := Request{Method: "POST", Path: "/a", Query: "b&c=%20", Headers: append(Headers{{"Host", "h.test"}}, req.Headers...)}
	if diff := cmp.Diff(sent, got); diff != "" || err != nil {
		t.Errorf("read back: %v %s", err, diff)
	}
	for name, req := range map[string]Request{
		"line ends": {Headers: Headers{{"A", "b\r\nC: d"}}}, "a line end in the query": {Query: "a\nb"}, "in a name": {Headers: Headers{{"A\r", ""}}},
		"spaces behind": {Headers: Headers{{"A", "b "}}}, "no address": {ClientIP: "unix:"},
	} {
		if _, err := req.Wire("h.test"); err == nil {
			t.Errorf("%s: can be sent", name)
		}
	}
}

func TestConfigurationsThatKongRefuses(t *testing.T) {
	t.Parallel()
	d, err := ParseDump([]byte(`{"Protocol":"ProtoBuf:1","Plugins":[{"Name":"n","Phases":["access"],"Schema":{"name":"n","fields":[{"config":
		{"type":"record","fields":[{"s":{"type":"string"}},{"n":{"type":"integer"}},{"u":{"type":"integer","between":[0,2147483648]}},
		{"f":{"type":"number"}},{"b":{"type":"boolean"}},{"l":{"type":"array","elements":{"type":"string"}}},
		{"m":{"type":"map","keys":{"type":"string"},"values":{"type":"integer"}}},{"r":{"type":"record","fields":[{"x":{"type":"string"}}]}}]}}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	type m = map[string]any
	for name, config := range map[string]any{
		"nothing": nil, "empty": m{}, "nulls": m{"s": nil, "r": m{"x": nil}},
		"empty tables": m{"l": m{}, "m": []int{}, "r": []int{}},
		"all":          m{"s": "s", "n": -1, "u": 0, "f": 1.5, "b": false, "l": []string{}, "m": m{"k": 1}, "r": m{"x": "y"}},
	} {
		if err := d.Check(config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, config := range map[string]any{
		"unknown": m{"z": 1}, "string": m{"s": 1}, "empty": m{"s": ""}, "empty element": m{"l": []string{""}}, "integer": m{"n": 1.5}, "negative": m{"u": -1}, "boolean": m{"b": "true"},
		"array": m{"l": m{"k": "v"}}, "unknown null": m{"z": nil}, "element": m{"l": []any{1}}, "value": m{"m": m{"k": "v"}}, "record": m{"r": "x"}, "nested": m{"r": m{"y": 1}},
		"not an object": []int{1},
	} {
		if err := d.Check(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, raw := range []string{"", "log line\n{}", "{} {}", "{}", `{"Protocol":"MsgPack:1","Plugins":[{}]}`, `{"Protocol":"ProtoBuf:1","Plugins":[{}]}`} {
		if _, err := ParseDump([]byte(raw)); err == nil {
			t.Errorf("dump %q: accepted", raw)
		}
	}
}
