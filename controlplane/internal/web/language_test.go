package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/controlplane/internal/fault"
)

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]Language{
		"": English, "es": Spanish, "ES": Spanish, "es-MX": Spanish, "es-419, en;q=0.8": Spanish,
		"en, es": English, "es, en": Spanish, "en;q=0.8, es;q=0.9": Spanish, "es;q=0.8, en;q=0.9": English,
		"en;q=0.8, es;q=0.8": English, "es;q=0.8, en;q=0.8": Spanish,
		"fr": English, "fr, es;q=0.1": Spanish, "fr, *;q=0.5": English, "*": English, "en;q=0": English,
		"en;q=0, *": Spanish, "es;q=0": English, "es;q=0, *": English, "*, es": Spanish, "*;q=0.5, es;q=0.1": English,
		"es-MX;q=0, es": Spanish, "es;q=0.001": Spanish, "es;q=0.000": English, "es;q=1.000": Spanish,
		"es;q=2": English, "es;q=-1": English, "es;q=NaN": English, "es;q=0.1234": English, "es;q=": English, "es;level=1": English, "es; q=0.9": Spanish,
		"est": English, "e": English, ",,,": English, ";;;": English, "es;q=1;q=0": English,
		strings.Repeat("fr,", maxRanges) + "es": English, // not looked at
	} {
		if got := Negotiate([]string{accept}); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
	if got := Negotiate([]string{"fr", "es;q=0.5"}); got != Spanish {
		t.Errorf("two headers: %s", got)
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("es-MX;q=0.9, *;q=0.1")
	f.Fuzz(func(t *testing.T, header string) {
		if got := Negotiate([]string{header}); got != English && got != Spanish {
			t.Error(got)
		}
	})
}

// Every code is explained in every language.
func TestEveryCodeIsInSpanish(t *testing.T) {
	t.Parallel()
	for _, e := range Catalogue() {
		es, ok := spanish[e.Code]
		if !ok || es.Title == "" || es.Detail == "" || es.Fix == "" {
			t.Errorf("%s has no Spanish text: add it to spanish.go", e.Code)
		}
		if e.In(Spanish) != es || e.In(English) != (Text{e.Title, e.Detail, e.Fix}) || es.Title == e.Title {
			t.Errorf("%s: %+v", e.Code, e.In(Spanish))
		}
	}
}

// A translation takes the arguments of its sentence, in their order.
func TestTranslationsTakeTheSameArguments(t *testing.T) {
	t.Parallel()
	verbs := func(format string) (all []string) {
		for i := strings.IndexByte(format, '%'); i >= 0 && i+1 < len(format); i = strings.IndexByte(format, '%') {
			all = append(all, format[i:i+2])
			format = format[i+2:]
		}
		return all
	}
	for english, translated := range spanishTexts {
		if fmt.Sprint(verbs(english)) != fmt.Sprint(verbs(translated)) {
			t.Errorf("%q and %q", english, translated)
		}
		if english != translated && strings.HasSuffix(english, ".") != strings.HasSuffix(translated, ".") {
			t.Errorf("%q and %q end differently", english, translated)
		}
	}
}

// So are the values that are wrong, with what was counted in them, also one of many.
func TestWrongValuesInSpanish(t *testing.T) {
	t.Parallel()
	var wrong fault.Fields
	wrong.Check(false, "body.amount", "1 to %d", 3600)
	wrong.Check(false, "body.tags[0]", "%s", "given twice")
	wrong.Check(false, "body.moon", "the moon is %d days old", 100)
	taken := fault.New(fault.Conflict, "another plan has this slug")
	taken.Fields = []fault.Field{{Location: "body.slug", Message: taken.Message}}
	archived := fault.New(fault.Conflict, "the plan %s is archived and takes no new subscriptions", "gold%d")
	for _, test := range []struct {
		err      error
		from, to string
		want     []FieldError
	}{
		{wrong.Err(), "body", "body.all[7]", []FieldError{
			{"body.all[7].amount", "de 1 a 3600"}, {"body.all[7].tags[0]", "está repetido"}, {"body.all[7].moon", "the moon is 100 days old"},
		}},
		{taken, "query", "query", []FieldError{{"body.slug", "otro plan tiene ese slug"}}},
		{archived, "body", "body.all[7]", []FieldError{{"body.all[7]", "el plan gold%d está archivado y no admite suscripciones nuevas"}}},
	} {
		p := ProblemOf(fault.Within(test.err, test.from, test.to))
		p.translate(Spanish)
		if diff := cmp.Diff(test.want, p.Errors); diff != "" {
			t.Errorf("%v: %s", test.err, diff)
		}
	}
}

// A problem is in the reader's language, and says so; its code is the same.
func TestProblemsInSpanish(t *testing.T) {
	t.Parallel()
	failing := func() map[string]error {
		return map[string]error{
			"catalogue":     NewProblem("REVOKED"),
			"fault":         fault.New(fault.Forbidden, "this credential lacks the scope %s", "keys:read").WithFix("use a credential with the scope %s", "keys:read"),
			"chosen":        fault.New(fault.Conflict, "%s", "another plan has this slug").WithCode(fault.CodeTaken),
			"untranslated":  fault.New(fault.Conflict, "the moon is %d days old", 100).WithFix("wait"),
			"unknown-code":  fault.New(fault.Conflict, "this user is disabled").WithCode("SOMETHING_NEW"),
			"internal":      fmt.Errorf("secret detail"),
			"said-by-doors": NewProblem("INSUFFICIENT_SCOPE").Say("The key lacks the scope %s.", "100%d"),
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Origin")
		WriteProblem(w, r, ProblemOf(failing()[r.PathValue("name")]))
	})
	handler := Chain(mux, Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: NewMetrics(prometheus.NewRegistry()), Now: time.Now, MaxInFlight: 9})
	for name, want := range map[string]Problem{
		"/catalogue":     {Code: "REVOKED", Title: "Clave revocada", Detail: "La clave fue revocada y ya no abre nada.", Fix: "Solicite una clave nueva."},
		"/fault":         {Code: "FORBIDDEN", Title: "No permitido", Detail: "esta credencial carece del ámbito keys:read", Fix: "use una credencial con el ámbito keys:read"},
		"/chosen":        {Code: "ALREADY_EXISTS", Title: "Ya existe", Detail: "otro plan tiene ese slug", Fix: "Elija otro nombre, o use el recurso que existe."},
		"/untranslated":  {Code: "CONFLICT", Title: "Conflicto", Detail: "El estado actual no lo permite. (the moon is 100 days old)", Fix: "Consulte de nuevo el recurso y decida según su estado. (wait)"},
		"/unknown-code":  {Code: "SOMETHING_NEW", Title: "Conflicto", Detail: "este usuario está desactivado", Fix: "Consulte de nuevo el recurso y decida según su estado."},
		"/internal":      {Code: "INTERNAL", Title: "Error interno", Detail: "Algo ha fallado aquí. La causa está en el registro del servidor, bajo este identificador de petición.", Fix: "Inténtelo de nuevo; si persiste, comunique al operador el identificador de la petición."},
		"/said-by-doors": {Code: "INSUFFICIENT_SCOPE", Title: "Falta un ámbito", Detail: "La clave carece del ámbito 100%d.", Fix: "Use una clave que lo tenga, o pida a un operador que se lo conceda."},
		"/no/such/route": {Code: "NOT_FOUND", Title: "No encontrado", Detail: "Aquí no existe tal cosa, o ninguna que esta credencial pueda ver.", Fix: "Compruebe la dirección y el identificador que contiene."},
	} {
		ask := func(accept string) (got Problem, header http.Header) {
			r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, name, nil)
			r.Header.Set("Accept-Language", accept)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			return got, w.Header()
		}
		es, header := ask("es-AR, en;q=0.5")
		if es.Code != want.Code || es.Title != want.Title || es.Detail != want.Detail || es.Fix != want.Fix {
			t.Errorf("%s: %+v", name, es)
		}
		if header.Get("Content-Language") != "es" || !strings.Contains(strings.Join(header.Values("Vary"), ","), "Accept-Language") {
			t.Errorf("%s: %v", name, header)
		}
		if name != "/no/such/route" && header.Values("Vary")[0] != "Origin" {
			t.Errorf("%s: Vary is %v", name, header.Values("Vary"))
		}
		if en, header := ask("fr"); en.Code != es.Code || en.Status != es.Status || en.Title == es.Title || header.Get("Content-Language") != "en" {
			t.Errorf("%s in English: %+v %v", name, en, header)
		}
	}
}
