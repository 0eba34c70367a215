package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A header that a change depends on is there once, with a value, or not at all.
func TestHeadersAreNeverDropped(t *testing.T) {
	t.Parallel()
	guarded := GuardParameters(http.NotFoundHandler())
	for name, test := range map[string]struct {
		header http.Header
		want   string
	}{
		"none":         {nil, ""},
		"one":          {http.Header{"If-Match": {`"1"`}, "Idempotency-Key": {"a"}}, ""},
		"empty":        {http.Header{"If-Match": {""}}, `"header.If-Match"`},
		"empty, other": {http.Header{"Idempotency-Key": {""}}, `"header.Idempotency-Key"`},
		"twice":        {http.Header{"Idempotency-Key": {"a", "b"}}, `"header.Idempotency-Key"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header = test.header
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			if passed := w.Code == http.StatusNotFound; passed != (test.want == "") || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}
