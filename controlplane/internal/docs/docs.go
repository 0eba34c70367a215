package docs

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"

	"github.com/latchkey/latchkey/controlplane/internal/web"
)

//go:embed all:dist
var dist embed.FS

//go:embed pages
var pages embed.FS

var templates = template.Must(template.ParseFS(pages, "pages/*.html"))

const (
	// plainPolicy is for pages without any script.
	plainPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	// viewerPolicy is for the viewer, which writes style attributes and shows
	// images and fonts that it carries as data. connect-src lets it read the API's
	// description and try calls on this origin.
	viewerPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// Register adds the pages to a mux. It fails where what is embedded cannot be
// read, which only a broken build does.
func Register(mux *http.ServeMux) error { return register(mux, dist) }

func register(mux *http.ServeMux, dist fs.FS) error {
	built, err := addAssets(mux, dist)
	if err != nil {
		return err
	}
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, r *http.Request) {
		policy := plainPolicy
		if built {
			policy = viewerPolicy
		}
		show(w, r, policy, page{name: "viewer.html", data: built})
	})
	mux.Handle("GET /docs/{$}", http.RedirectHandler("../docs", http.StatusPermanentRedirect))
	mux.HandleFunc("GET /docs/errors/{$}", showErrors)
	mux.HandleFunc("GET /docs/errors/{code}", showError)
	return nil
}

// page is a template and what it shows.
type page struct {
	name string
	data any
}

func show(w http.ResponseWriter, r *http.Request, policy string, p page) {
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, p.name, p.data); err != nil {
		web.WriteProblem(w, r, web.ProblemOf(err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(body.Bytes())
}
