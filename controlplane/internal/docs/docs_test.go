package docs

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/latchkey/latchkey/controlplane/internal/web"
)

var gzipped = func() string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte("viewer"))
	_ = z.Close()
	return b.String()
}()

func get(t *testing.T, dist fs.FS, path, encoding string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	if err := register(mux, dist); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Encoding", encoding)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

var built = fstest.MapFS{
	"dist/web-components.min.js.gz": {Data: []byte(gzipped)},
	"dist/styles.min.css.gz":        {Data: []byte(gzipped)},
}

func TestEveryCodeHasAPage(t *testing.T) {
	t.Parallel()
	index := get(t, built, "/docs/errors/", "").Body.String()
	for _, e := range web.Catalogue() {
		w := get(t, built, "/docs/errors/"+e.Slug(), "")
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<code>"+string(e.Code)+"</code>") {
			t.Errorf("%s: status %d", e.Code, w.Code)
		}
		if !strings.Contains(index, `href="/docs/errors/`+e.Slug()+`"`) {
			t.Errorf("%s is not in the index", e.Code)
		}
		led := get(t, built, "/docs/errors/"+string(e.Code)+"?lang=es", "")
		if to := led.Header().Get("Location"); led.Code != http.StatusMovedPermanently || to != "/docs/errors/"+e.Slug()+"?lang=es" {
			t.Errorf("%s leads to %q, status %d", e.Code, to, led.Code)
		}
	}
	if w := get(t, built, "/docs/errors/no-such-code", ""); w.Code != http.StatusNotFound {
		t.Errorf("status %d", w.Code)
	}
}

// The pages are in the language that the client prefers, or the one that was
// chosen; links keep the choice.
func TestPagesInSpanish(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	if err := register(mux, built); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path, accept, language string
		says                   []string
	}{
		"preferred":         {"/docs/errors/revoked", "es", "es", []string{`<html lang="es">`, "Clave revocada", "Qué hacer", `href="?lang=en"`, `href="/docs/errors/"`}},
		"chosen":            {"/docs/errors/revoked?lang=es", "en", "es", []string{"Solicite una clave nueva.", `href="/docs/errors/?lang=es"`}},
		"chosen otherwise":  {"/docs/errors/revoked?lang=en", "es", "en", []string{`<html lang="en">`, "Ask for a new key.", `href="?lang=es"`}},
		"no such language":  {"/docs/errors/revoked?lang=%22%3E%3Cscript%3E", "es", "es", []string{"Clave revocada"}},
		"index":             {"/docs/errors/", "es", "es", []string{"Códigos de error", `href="/docs/errors/revoked"`, "La clave fue revocada"}},
		"index, by choice":  {"/docs/errors/?lang=es", "", "es", []string{`href="/docs/errors/revoked?lang=es"`}},
		"index, in English": {"/docs/errors/", "de", "en", []string{"Error codes", "Español"}},
	} {
		r := httptest.NewRequest(http.MethodGet, test.path, nil)
		r.Header.Set("Accept-Language", test.accept)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Header().Get("Content-Language") != test.language || w.Header().Get("Vary") != "Accept-Language" || strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		for _, text := range test.says {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s does not say %q:\n%s", name, text, w.Body)
			}
		}
	}
}

// Every page loads from this origin alone and runs no inline script.
func TestPagesAreSelfContained(t *testing.T) {
	t.Parallel()
	for _, dist := range []fs.FS{built, fstest.MapFS{}} {
		for _, path := range []string{"/docs", "/docs/errors/", "/docs/errors/expired"} {
			w := get(t, dist, path, "")
			body, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
			if strings.Contains(body, "//") || strings.Contains(body, "<style") || strings.Contains(body, " style=") {
				t.Errorf("%s refers to elsewhere or has inline styles:\n%s", path, body)
			}
			for script := range strings.SplitSeq(body, "<script") {
				if script != body && !strings.HasPrefix(script, ` src="/docs/`) && !strings.HasPrefix(script, "<!doctype") {
					t.Errorf("%s has an inline script", path)
				}
			}
			if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "script-src 'self' '") || strings.Contains(policy, "http") {
				t.Errorf("%s: policy %q", path, policy)
			}
		}
	}
}

func TestViewerFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ encoding, want, wantEncoding string }{
		"compressed": {"br, gzip", gzipped, "gzip"},
		"plain":      {"identity", "viewer", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, built, "/docs/assets/web-components.min.js", test.encoding)
			body, err := io.ReadAll(w.Body)
			if err != nil || string(body) != test.want || w.Header().Get("Content-Encoding") != test.wantEncoding ||
				!strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
				t.Errorf("%q %v %v", body, w.Header(), err)
			}
		})
	}
}

func TestWithoutViewerThePageSaysHow(t *testing.T) {
	t.Parallel()
	half := fstest.MapFS{"dist/web-components.min.js.gz": built["dist/web-components.min.js.gz"]}
	for _, dist := range []fs.FS{fstest.MapFS{}, half} {
		w := get(t, dist, "/docs", "")
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "fetch.sh") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := get(t, dist, "/docs/assets/styles.min.css", ""); w.Code != http.StatusNotFound {
			t.Errorf("status %d", w.Code)
		}
	}
}
