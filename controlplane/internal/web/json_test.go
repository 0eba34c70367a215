package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const key = "lk_live_0123456789ABCDEFGHIJKLMNOPQRSTUV00JqhR"

func TestReadJSON(t *testing.T) {
	t.Parallel()
	type want struct {
		code     Code
		location string
	}
	tests := map[string]struct {
		contentType string
		body        string
		want        want
	}{
		"good":                 {"application/json", `{"a":[1,"x"]}`, want{}},
		"charset":              {"application/json; charset=utf-8", `{}`, want{}},
		"suffix":               {"application/merge-patch+json", `{}`, want{}},
		"no type":              {"", `{}`, want{CodeMediaType, ""}},
		"form":                 {"application/x-www-form-urlencoded", `a=b`, want{CodeMediaType, ""}},
		"not a type":           {"json", `{}`, want{CodeMediaType, ""}},
		"no body":              {"application/json", ``, want{CodeNoBody, ""}},
		"only spaces":          {"application/json", `  `, want{CodeMalformed, "body"}},
		"2 MiB":                {"application/json", `"` + strings.Repeat("x", 2<<20) + `"`, want{CodeTooLarge, ""}},
		"exactly 1 MiB":        {"application/json", `"` + strings.Repeat("x", MaxBody-2) + `"`, want{}},
		"one byte more":        {"application/json", `"` + strings.Repeat("x", MaxBody-1) + `"`, want{CodeTooLarge, ""}},
		"cut short":            {"application/json", `{"auth_key":"` + key, want{CodeMalformed, "body.auth_key"}},
		"trailing":             {"application/json", `{} {}`, want{CodeMalformed, "body"}},
		"trailing key":         {"application/json", `{}` + key, want{CodeMalformed, "body"}},
		"no JSON":              {"application/json", key, want{CodeMalformed, "body"}},
		"comma":                {"application/json", `{"a":1,}`, want{CodeMalformed, "body"}},
		"duplicate":            {"application/json", `{"a":{"b":1,"b":"` + key + `"}}`, want{CodeMalformed, "body.a.b"}},
		"duplicate, escaped":   {"application/json", `{"auth_key":1,"auth\u005fkey":2}`, want{CodeMalformed, "body.auth_key"}},
		"duplicate key as one": {"application/json", `{"` + key + `":1,"` + key + `":2}`, want{CodeMalformed, "body.(a name of 46 bytes)"}},
		"invalid UTF-8":        {"application/json", "{\"a\":\"\xff\"}", want{CodeMalformed, "body.a"}},
		"lone surrogate":       {"application/json", `{"a":"\ud800"}`, want{CodeMalformed, "body.a"}},
		"64 deep":              {"application/json", strings.Repeat("[", 64) + strings.Repeat("]", 64), want{}},
		"65 deep":              {"application/json", strings.Repeat("[", 65) + strings.Repeat("]", 65), want{CodeMalformed, "body"}},
		"20,000 deep":          {"application/json", strings.Repeat("[", 20_000), want{CodeMalformed, "body"}},
		"wide, not deep":       {"application/json", "[" + strings.Repeat("[],", 100) + "[]]", want{}},
		"NUL escape":           {"application/json", `{"a":["x","` + key + `\u0000"]}`, want{"INVALID_VALUE", "body.a[1]"}},
		"NUL in a name":        {"application/json", `{"a":{"x\u0000":1}}`, want{"INVALID_VALUE", "body.a.(a name of 2 bytes)"}},
		"NUL raw":              {"application/json", "{\"a\":\"\x00\"}", want{CodeMalformed, "body.a"}},
		"escaped backslash":    {"application/json", `{"a":"\\u0000"}`, want{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, length := range []int64{int64(len(test.body)), -1} { // -1: chunked
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(test.body))
				if length < 0 || test.body != "" {
					r.ContentLength = length
				}
				if test.contentType != "" {
					r.Header.Set("Content-Type", test.contentType)
				}
				data, p := ReadJSON(httptest.NewRecorder(), r)
				var got want
				if p != nil {
					got.code = p.Code
					if len(p.Errors) > 0 {
						got.location = p.Errors[0].Location
					}
					if text := fmt.Sprintf("%+v", p); strings.Contains(text, key[8:]) {
						t.Errorf("the problem repeats the key: %s", text)
					}
				} else if string(data) != test.body {
					t.Error("the body that was read is another one")
				}
				if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(want{})); diff != "" {
					t.Errorf("length %d: %s", length, diff)
				}
			}
		})
	}
}

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	type body struct {
		Name   string   `json:"name"`
		Scopes []string `json:"scopes"`
		Count  int      `json:"count"`
		Open   *bool    `json:"open"`
		Inner  struct {
			At string `json:"at"`
		} `json:"inner"`
	}
	tests := map[string]struct{ data, location, message string }{
		"good":         {`{"name":"x","scopes":["a"],"count":3,"open":null}`, "", ""},
		"unknown":      {`{"nmae":"` + key + `"}`, "body.nmae", "there is no such member"},
		"case matters": {`{"Name":"x"}`, "body.Name", "there is no such member"},
		"unknown deep": {`{"inner":{"by":1}}`, "body.inner.by", "there is no such member"},
		"key as name":  {`{"` + key + `":1}`, "body.(a name of 46 bytes)", "there is no such member"},
		"number":       {`{"name":7}`, "body.name", "want a string"},
		"in a list":    {`{"scopes":["a",{"` + key + `":1}]}`, "body.scopes[1]", "want a string"},
		"no list":      {`{"scopes":"` + key + `"}`, "body.scopes", "want an array"},
		"fraction":     {`{"count":1.5}`, "body.count", "want a whole number"},
		"too large":    {`{"count":99999999999999999999}`, "body.count", "want a whole number"},
		"not a bool":   {`{"open":"yes"}`, "body.open", "want true or false"},
		"no object":    {`["` + key + `"]`, "body", "want an object"},
		"inner":        {`{"inner":3}`, "body.inner", "want an object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := DecodeJSON([]byte(test.data), new(body))
			if test.location == "" {
				if p != nil {
					t.Fatal(p)
				}
				return
			}
			want := []FieldError{{test.location, test.message}}
			if p == nil || p.Status != http.StatusUnprocessableEntity {
				t.Fatalf("want 422, got %+v", p)
			}
			if diff := cmp.Diff(want, p.Errors); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever arrives, the guard answers, and its answer repeats no long run of it.
func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{"a":"\u0000"}`, "[[[[", `{"a":1,"a":2}`, `"` + key, "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := CheckJSON(data)
		if p == nil {
			_ = DecodeJSON(data, &struct {
				A string `json:"a"`
			}{})
			return
		}
		if p.Status != http.StatusBadRequest && p.Status != http.StatusUnprocessableEntity {
			t.Errorf("status %d", p.Status)
		}
	})
}
