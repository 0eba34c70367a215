package docs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// viewerFiles are the files of the viewer. They are embedded compressed.
var viewerFiles = []string{"web-components.min.js", "styles.min.css"}

// asset is one static file in the form that is sent.
type asset struct {
	name string
	gzip []byte // nil where the file is sent as it is
	body []byte
	etag string
}

// addAssets adds the static files, and reports whether the viewer is among
// them.
func addAssets(mux *http.ServeMux, dist fs.FS) (built bool, err error) {
	style, err := fs.ReadFile(pages, "pages/page.css")
	if err != nil {
		return false, err
	}
	assets := []asset{{name: "page.css", body: style}}
	for _, name := range viewerFiles {
		compressed, err := fs.ReadFile(dist, "dist/"+name+".gz")
		if errors.Is(err, fs.ErrNotExist) {
			assets = assets[:1] // half a viewer is none
			break
		}
		if err != nil {
			return false, err
		}
		assets = append(assets, asset{name: name, gzip: compressed})
	}
	for _, a := range assets {
		sum := sha256.Sum256(append(a.body, a.gzip...))
		a.etag = `"` + hex.EncodeToString(sum[:8]) + `"`
		mux.Handle("GET /docs/assets/"+a.name, a)
	}
	return len(assets) > 1, nil
}

// ServeHTTP sends the file, compressed where the client takes that.
func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(a.name)))
	h.Set("Cache-Control", "no-cache") // ask each time: the answer is mostly 304
	h.Set("Etag", a.etag)
	h.Set("Vary", "Accept-Encoding")
	body := a.body
	if a.gzip != nil {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			h.Set("Etag", strings.TrimSuffix(a.etag, `"`)+`-gzip"`)
			body = a.gzip
		} else {
			plain, err := decompress(a.gzip)
			if err != nil {
				panic(fmt.Sprintf("docs: %s is broken: %v", a.name, err)) // the build's fault
			}
			body = plain
		}
	}
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(body))
}

func decompress(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
