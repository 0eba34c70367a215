package app

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/latchkey/latchkey/controlplane/internal/api"
	"github.com/latchkey/latchkey/controlplane/internal/doors"
)

// apiVersion is the version of the API's contract in the document. It is not the
// build's: the document changes when the contract does, not with every build.
const apiVersion = "1"

// documentSecurity names the document's schemes to the adapters beside the API.
var documentSecurity = doors.Security{ManagementKey: api.SecurityScheme, Session: api.SessionScheme}

// OpenAPI is the OpenAPI document in both of its forms.
type OpenAPI struct{ YAML, JSON []byte }

// Document returns the OpenAPI document of the API and the doors. It serves
// nothing, so the services behind them are not there.
func Document() (o OpenAPI, err error) {
	document := api.New(http.NewServeMux(), api.Config{Version: apiVersion})
	doors.Describe(document, documentSecurity)
	if o.YAML, err = document.OpenAPI().YAML(); err != nil {
		return o, err
	}
	compact, err := document.OpenAPI().MarshalJSON()
	if err != nil {
		return o, err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, compact, "", "  "); err != nil {
		return o, err
	}
	indented.WriteByte('\n')
	o.JSON = indented.Bytes()
	return o, nil
}
