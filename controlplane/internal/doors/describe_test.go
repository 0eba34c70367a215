package doors

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/latchkey/latchkey/shared/apikey"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	config := huma.DefaultConfig("Latchkey", "1")
	config.CreateHooks, config.DocsPath = nil, ""
	mux := http.NewServeMux()
	api := humago.New(mux, config)
	Describe(api, Security{ManagementKey: "bearer", Session: "cookie"})
	if _, pattern := mux.Handler(httptest.NewRequest(http.MethodPost, authPath, nil)); pattern != "" {
		t.Errorf("a handler was registered: %s", pattern)
	}
	document, err := json.Marshal(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range apikey.Codes() {
		named := strings.Contains(string(document), `"code":"`+c.String()+`"`)
		if expected := c == apikey.Valid || !slices.Contains(neverHere, c.String()); named != expected {
			t.Errorf("the document names %s: %v", c, named)
		}
	}
	schema := api.OpenAPI().Components.Schemas.Map()["AuthRequest"]
	if schema == nil || len(schema.Required) != 1 || schema.Required[0] != "auth_key" || len(schema.Properties) != 6 {
		t.Errorf("the request is described as %+v", schema)
	}
	refusal := api.OpenAPI().Components.Schemas.Map()["AuthRefusal"]
	if refusal == nil || refusal.Properties["code"] == nil || refusal.Properties["subscription"] == nil {
		t.Errorf("the refusal is described as %+v", refusal)
	}
}
