// Package testdata holds decisions.json, the decisions that every door must make,
// as it is written. Package vectors reads it; nothing else needs it.
package testdata

import _ "embed"

// Decisions is decisions.json.
//
//go:embed decisions.json
var Decisions []byte
