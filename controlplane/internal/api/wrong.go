package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/latchkey/latchkey/controlplane/internal/web"
)

const (
	needed          = "this is needed"
	wantTime        = "want a time as RFC 3339 writes it, such as 2026-01-31T00:00:00Z"
	wantWholeNumber = "want a whole number, in digits alone"
)

// wording says a text of huma's in the words of this API.
type wording struct {
	huma string // a format with at most one verb
	ours string // a format, with %s where it repeats what the verb stood for
}

// wordings are what huma can find wrong with a request. It hands out nothing but
// finished texts, so they are told by the formats that it makes them of; a test
// sends whatever the document forbids, and finds a text that is missing here.
var wordings = []wording{
	{validation.MsgUnexpectedProperty, "there is no such member"},
	{"unknown query parameter", "there is no such parameter"},
	{"required query parameter is missing", needed},
	{validation.MsgExpectedString, "want a string"},
	{validation.MsgExpectedBoolean, "want true or false"},
	{"invalid boolean", "want true or false"},
	{validation.MsgExpectedNumber, "want a number"},
	{validation.MsgExpectedInteger, wantWholeNumber},
	{"invalid integer", wantWholeNumber},
	{validation.MsgExpectedArray, "want an array"},
	{validation.MsgExpectedObject, "want an object"},
	{validation.MsgExpectedOneOf, "want one of %s"},
	{validation.MsgExpectedMinimumNumber, "want %s or more"},
	{validation.MsgExpectedMaximumNumber, "want %s or less"},
	{fmt.Sprintf(validation.MsgExpectedMinLength, 1), "want a text that is not empty"},
	{validation.MsgExpectedMinLength, "want at least %s characters"},
	{validation.MsgExpectedMaxLength, "want at most %s characters"},
	{fmt.Sprintf(validation.MsgExpectedMinItems, 1), "want an array that is not empty"},
	{validation.MsgExpectedMaxItems, "want at most %s items"},
	{validation.MsgExpectedRFC3339DateTime, wantTime},
	{"invalid date/time for format %s", wantTime + "; in an address a + is written as %%2B"},
}

// stoodFor returns what the format's verb stood for in a text; ok is false where
// the text is not of the format.
func stoodFor(format, text string) (value string, ok bool) {
	before, verb, found := strings.Cut(format, "%")
	if !found {
		return "", text == format
	}
	if text, ok = strings.CutPrefix(text, before); !ok {
		return "", false
	}
	return strings.CutSuffix(text, verb[1:])
}

// wrong adds what huma found to a problem.
func wrong(p *web.Problem, d *huma.ErrorDetail) *web.Problem {
	location := plainLocation(d.Location)
	if at, want, ok := misreading(d.Message); ok {
		return p.At(plainLocation(at), "%s", want)
	}
	if name, ok := stoodFor(validation.MsgExpectedRequiredProperty, d.Message); ok {
		return p.At(location+"."+name, needed)
	}
	for _, w := range wordings {
		value, ok := stoodFor(w.huma, d.Message)
		if !ok {
			continue
		}
		if !strings.Contains(w.ours, "%s") {
			return p.At(location, w.ours)
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			value = strconv.FormatFloat(n, 'f', -1, 64) // not 1e+06
		}
		return p.At(location, w.ours, value)
	}
	// Last, for others begin like it: what the tag patternDescription says.
	if want, ok := stoodFor(validation.MsgExpectedBePattern, d.Message); ok {
		return p.At(location, "%s", "want "+want)
	}
	return p.At(location, "%s", d.Message)
}

// readable makes huma's formats say in the API's words what fits the schema of a
// number, and still none of Go's, such as 1.0 or 1e400.
func readable(formats map[string]huma.Format) map[string]huma.Format {
	formats = maps.Clone(formats)
	for name, f := range formats {
		read := f.Unmarshal
		f.Unmarshal = func(data []byte, v any) error {
			err := read(data, v)
			if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
				return misread(wrongType.Field, wanted(wrongType.Type))
			}
			return err
		}
		formats[name] = f
	}
	return formats
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return wantWholeNumber
	case reflect.Float64: // of whatever type it was to be
		return "a number in it is too large"
	}
	return "want a value of another type"
}

// mark stands before and within the text of a misread value: huma keeps the text
// of an error, and nothing else of it.
const mark = "\x00"

func misread(field, want string) error {
	at := "body"
	if field != "" {
		at += "." + field
	}
	return errors.New(mark + at + mark + want)
}

func misreading(text string) (at, want string, ok bool) {
	if text, ok = strings.CutPrefix(text, mark); ok {
		at, want, ok = strings.Cut(text, mark)
	}
	return at, want, ok
}
