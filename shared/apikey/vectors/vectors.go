// Package vectors holds the decisions that every door must make: what was
// presented, what is known of the key, what the request asks, and the code and
// status that answer it. They are data, in ../testdata/decisions.json, so that
// doors written in any way can be held to the same table.
//
// It is called from tests only: those of apikey, of the validator and of each
// door.
package vectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/shared/apikey"
	"github.com/latchkey/latchkey/shared/apikey/testdata"
)

// Prefixes are the ones that the installation of the vectors issues.
var Prefixes = apikey.Prefixes{"lk"}

// Vector is one decision.
type Vector struct {
	Name string
	Now  time.Time
	// Credential is what was presented; empty: nothing was.
	Credential string
	// Also, where not empty, was presented beside it, at a door that takes
	// exactly one. Other doors have no such vector.
	Also string
	// Found says whether a key with this credential exists; Record is what is
	// known of it.
	Found  bool
	Record apikey.Record
	// Request is what the door asks. Its fingerprint is the credential's.
	Request apikey.Request

	Code         apikey.Code
	Status       int
	MissingScope string
}

// file is decisions.json. Vectors name only what differs from the common record
// and credential.
type file struct {
	Now        time.Time
	Credential string
	Record     json.RawMessage
	Vectors    []struct {
		Name       string
		Credential *string
		Also       string
		Record     json.RawMessage // absent: the common one; null: no such key
		Request    struct {
			Kind        apikey.Kind
			Environment apikey.Environment
			IP          netip.Addr
			Method      string
			Path        string
			Scopes      []string
			AnyScopes   []string `json:"any_scopes"`
		}
		Code         apikey.Code
		Status       int
		MissingScope string `json:"missing_scope"`
	}
}

// All returns every vector. An error means that the file is not as it should
// be, a field that does not exist included.
func All() ([]Vector, error) {
	var f file
	if err := strict(testdata.Decisions, &f); err != nil {
		return nil, err
	}
	all := make([]Vector, 0, len(f.Vectors))
	for _, raw := range f.Vectors {
		v := Vector{
			Name: raw.Name, Now: f.Now, Credential: f.Credential, Also: raw.Also, Found: true,
			Code: raw.Code, Status: raw.Status, MissingScope: raw.MissingScope,
		}
		if raw.Credential != nil {
			v.Credential = *raw.Credential
		}
		r := raw.Request
		v.Request = apikey.Request{
			Fingerprint: apikey.FingerprintOf(v.Credential), Kind: r.Kind, Environment: r.Environment,
			IP: r.IP, Method: r.Method, Path: r.Path, Scopes: r.Scopes, AnyScopes: r.AnyScopes,
		}
		if string(raw.Record) == "null" {
			v.Found = false
			all = append(all, v)
			continue
		}
		if err := strict(f.Record, &v.Record); err != nil {
			return nil, err
		}
		if raw.Record != nil {
			if err := strict(raw.Record, &v.Record); err != nil {
				return nil, fmt.Errorf("%s: %w", v.Name, err)
			}
		}
		all = append(all, v)
	}
	return all, nil
}

// strict reads JSON into v, over what v holds already.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
