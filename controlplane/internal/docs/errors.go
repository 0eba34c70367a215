package docs

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
	"github.com/latchkey/latchkey/controlplane/internal/web"
)

// words are what the pages about errors say beside the catalogue.
type words struct {
	Codes, All, Intro                 string
	Code, Status, Meaning, Fix, Other string // Other names the other language, in it
}

var wordsIn = map[web.Language]words{
	web.English: {
		Codes: "Error codes", All: "All error codes", Code: "Code", Status: "Status", Meaning: "Meaning", Fix: "What to do", Other: "Español",
		Intro: "Every answer that is not a success is application/problem+json (RFC 9457). Its code is one of these and never changes; " +
			"new ones may appear, so treat an unknown code as its status.",
	},
	web.Spanish: {
		Codes: "Códigos de error", All: "Todos los códigos de error", Code: "Código", Status: "Estado", Meaning: "Significado", Fix: "Qué hacer", Other: "English",
		Intro: "Toda respuesta que no es un éxito es application/problem+json (RFC 9457). Su campo code es uno de estos y nunca cambia; " +
			"pueden aparecer otros, así que trate un código desconocido según su estado.",
	},
}

// errorsPage is what both templates show.
type errorsPage struct {
	Lang, OtherLang web.Language
	Words           words
	Query           string // keeps a language that was chosen by hand
	Entries         []explained
}

// explained is an entry of the catalogue in one language.
type explained struct {
	web.Entry
	Text web.Text
}

// pageIn returns the page of some entries in the language that ?lang= chooses, or
// else the one that the client prefers.
func pageIn(w http.ResponseWriter, r *http.Request, entries []web.Entry) errorsPage {
	p := errorsPage{Lang: web.Negotiate(r.Header["Accept-Language"])}
	if chosen := web.Language(r.URL.Query().Get("lang")); slices.Contains(web.Languages, chosen) {
		p.Lang, p.Query = chosen, "?lang="+string(chosen)
	}
	p.OtherLang = web.Spanish
	if p.Lang == web.Spanish {
		p.OtherLang = web.English
	}
	p.Words = wordsIn[p.Lang]
	for _, e := range entries {
		p.Entries = append(p.Entries, explained{Entry: e, Text: e.In(p.Lang)})
	}
	w.Header().Set("Content-Language", string(p.Lang))
	w.Header().Add("Vary", "Accept-Language")
	return p
}

// showErrors lists every code.
func showErrors(w http.ResponseWriter, r *http.Request) {
	show(w, r, plainPolicy, page{name: "errors.html", data: pageIn(w, r, web.Catalogue())})
}

// showError explains one code, and leads whoever asks for it as it stands in an
// answer, KEY_NOT_FOUND, to its page.
func showError(w http.ResponseWriter, r *http.Request) {
	all, asked := web.Catalogue(), r.PathValue("code")
	slug := web.Code(asked).Slug()
	i := slices.IndexFunc(all, func(e web.Entry) bool { return e.Slug() == slug })
	if i < 0 {
		web.WriteProblem(w, r, web.NewProblem(web.Code(fault.CodeNotFound)))
		return
	}
	if asked != slug {
		to := url.URL{Path: "/docs/errors/" + slug, RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusMovedPermanently)
		return
	}
	show(w, r, plainPolicy, page{name: "error.html", data: pageIn(w, r, all[i:i+1])})
}
