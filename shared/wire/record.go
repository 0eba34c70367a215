package wire

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey/latchkey/shared/apikey"
)

// recordVersion is the version of Record.
const recordVersion = 1

// ErrTorn is returned for a record that is not whole.
var ErrTorn = errors.New("wire: a torn record")

// Fingerprint travels as 64 hexadecimal digits.
type Fingerprint apikey.Fingerprint

// MarshalText writes 64 hexadecimal digits.
func (f Fingerprint) MarshalText() ([]byte, error) {
	return []byte(apikey.Fingerprint(f).String()), nil
}

// UnmarshalText reads 64 hexadecimal digits.
func (f *Fingerprint) UnmarshalText(b []byte) error {
	parsed, err := apikey.ParseFingerprint(string(b))
	*f = Fingerprint(parsed)
	return err
}

// RecordsRequest asks for the records of up to MaxFingerprints.
type RecordsRequest struct {
	Fingerprints []Fingerprint `json:"fingerprints"`
}

// RecordsAnswer holds a Record for each fingerprint, in the order in which they
// were asked for, or null where it could not be read now. They are read one by
// one, so that a torn one does not take the others down.
type RecordsAnswer struct {
	Records []jsontext.Value `json:"records"`
}

// Record is what is known of one fingerprint: apikey.Record's members beside
// those here, or none of them where no key was found.
type Record struct {
	V     int  `json:"v"`
	Found bool `json:"found"`
	// Epoch is the history that Change is a number of.
	Epoch string `json:"epoch"`
	// Change is the number that the answer reflects. It stands for
	// apikey.Record's own, of the same name.
	Change int64 `json:"change"`
	*apikey.Record
}

// Undecided is the entry of a fingerprint whose record could not be read.
func Undecided() jsontext.Value { return jsontext.Value("null") }

// EncodeRecord writes the record of a key that was found in the history epoch.
func EncodeRecord(epoch string, r *apikey.Record) (jsontext.Value, error) {
	return json.Marshal(Record{V: recordVersion, Found: true, Epoch: epoch, Change: r.Change, Record: r})
}

// EncodeNone writes that there was no key at a change number.
func EncodeNone(epoch string, change int64) (jsontext.Value, error) {
	return json.Marshal(Record{V: recordVersion, Epoch: epoch, Change: change})
}

// DecodeRecord reads what EncodeRecord and EncodeNone write. Members that are
// not known are ignored; one that is missing, twice there, or of another type is
// an error, for it might be the one that refuses.
func DecodeRecord(b jsontext.Value) (epoch string, r apikey.Record, found bool, err error) {
	var w Record
	if err := json.Unmarshal(b, &w); err != nil {
		return "", r, false, fmt.Errorf("%w: %w", ErrTorn, err)
	}
	switch {
	case w.V != recordVersion:
		return "", r, false, fmt.Errorf("%w: version %d", ErrTorn, w.V)
	case w.Epoch == "" || w.Change < 0:
		return "", r, false, fmt.Errorf("%w: of no history", ErrTorn)
	case !w.Found && w.Record == nil:
		if err := complete(b, noneMembers); err != nil {
			return "", r, false, err
		}
		return w.Epoch, apikey.Record{Change: w.Change}, false, nil
	case !w.Found || w.Record == nil:
		return "", r, false, fmt.Errorf("%w: found and not found", ErrTorn)
	}
	if err := complete(b, recordMembers); err != nil {
		return "", r, false, err
	}
	r, r.Change = *w.Record, w.Change
	if r.Key.ID == "" || r.User.ID == "" || !slices.Contains(r.DependsOn.Slice(), r.Key.ID) {
		return "", apikey.Record{}, false, fmt.Errorf("%w: of no key", ErrTorn)
	}
	return w.Epoch, r, true, nil
}

// members are the names that an object must have, with those of the objects in
// it.
type members map[string]members

var (
	noneMembers   = members{"v": nil, "found": nil, "epoch": nil, "change": nil}
	recordMembers = membersOf(reflect.TypeFor[Record]())
)

// membersOf reads the names off the structs, so that a member that is added to
// apikey.Record is asked for from then on.
func membersOf(t reflect.Type) members {
	all := members{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for name, inner := range membersOf(f.Type.Elem()) {
				all[name] = inner
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all[name] = nil
		if f.Type.Kind() == reflect.Struct && f.Type.NumField() > 0 && f.Type.Field(0).IsExported() {
			all[name] = membersOf(f.Type)
		}
	}
	return all
}

// complete reports a member that an object lacks.
func complete(b jsontext.Value, want members) error {
	var have map[string]jsontext.Value
	if err := json.Unmarshal(b, &have); err != nil {
		return fmt.Errorf("%w: %w", ErrTorn, err)
	}
	for name, inner := range want {
		value, ok := have[name]
		if !ok {
			return fmt.Errorf("%w: without %s", ErrTorn, name)
		}
		if inner == nil {
			continue
		}
		if err := complete(value, inner); err != nil {
			return err
		}
	}
	return nil
}
