package web

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// Language is a language that problems and the pages about them are written in,
// as its primary subtag (RFC 5646).
type Language string

// The languages. English is the default, and the language of everything that has
// no other.
const (
	English Language = "en"
	Spanish Language = "es"
)

// Languages lists them, the default first.
var Languages = []Language{English, Spanish}

// LanguageOf returns the language that the request prefers.
func LanguageOf(ctx context.Context) Language { return exchangeOf(ctx).language() }

func (x *exchange) language() Language {
	if x.response.request == nil {
		return English
	}
	return Negotiate(x.response.request.Header["Accept-Language"])
}

// maxRanges is how many language ranges are looked at.
const maxRanges = 32

// Negotiate chooses by Accept-Language (RFC 9110, section 12.5.4): the language
// with the highest quality, of equal ones that which was named first. A range
// with subtags stands for its language (RFC 4647, section 3.4), "*" for those
// that are not named. Where nothing suits it is English rather than nothing.
func Negotiate(headers []string) Language {
	var wish wishes
	n := 0
	for _, header := range headers {
		for element := range strings.SplitSeq(header, ",") {
			if n++; n > maxRanges {
				return wish.best()
			}
			wish.take(element)
		}
	}
	return wish.best()
}

// wishes are the qualities that a client gave, in thousandths.
type wishes struct {
	named [2]struct {
		is      bool
		quality int
		order   int
	}
	others, count int // of "*"
}

// take reads one element; what is not well-formed says nothing.
func (w *wishes) take(element string) {
	tag, parameters, weighted := strings.Cut(element, ";")
	quality := 1000
	if weighted {
		var ok bool
		if quality, ok = parseQuality(parameters); !ok {
			return
		}
	}
	w.count++
	primary, region, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
	if primary == "*" {
		w.others = max(w.others, quality)
		return
	}
	for i, l := range Languages {
		if string(l) != primary || region != "" && quality == 0 { // not Mexican Spanish: other Spanish may do
			continue
		}
		if n := &w.named[i]; !n.is || quality > n.quality {
			n.is, n.quality, n.order = true, quality, w.count
		}
	}
}

func (w *wishes) best() Language {
	best, quality, order := English, 0, 0
	for i, l := range Languages {
		q, o := w.others, maxRanges+1
		if n := w.named[i]; n.is {
			q, o = n.quality, n.order
		}
		if q > quality || q == quality && q > 0 && o < order {
			best, quality, order = l, q, o
		}
	}
	return best
}

// parseQuality reads "q=0.8": 0 to 1 with at most three decimals.
func parseQuality(parameters string) (thousandths int, ok bool) {
	name, value, _ := strings.Cut(strings.TrimSpace(parameters), "=")
	whole, decimals, _ := strings.Cut(value, ".")
	if !strings.EqualFold(name, "q") || whole != "0" && whole != "1" || len(decimals) > 3 || strings.Trim(decimals, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi((whole + decimals + "000")[:4])
	return n, err == nil && n <= 1000
}

// Text is what is said about a code in one language.
type Text struct{ Title, Detail, Fix string }

// In returns the entry's texts in a language.
func (e Entry) In(l Language) Text {
	if t, ok := spanish[e.Code]; ok && l == Spanish {
		return t
	}
	return Text{Title: e.Title, Detail: e.Detail, Fix: e.Fix}
}

// sentence is a text before its arguments stood in it.
type sentence struct {
	Format string
	Args   []any
}

func (s sentence) english() string { return fmt.Sprintf(s.Format, s.Args...) }

// spanishTexts are the translations of whatever faults and adapters say, by the
// format in English. A test reads the source and finds one that is missing.
var spanishTexts = func() map[string]string {
	all := make(map[string]string, len(spanishSentences)+len(spanishWants)+len(spanishRules))
	for _, some := range []map[string]string{spanishSentences, spanishWants, spanishRules} {
		maps.Copy(all, some)
	}
	return all
}()

// spanish says the sentence in Spanish. One that came to be outside of this source
// may have none.
func (s sentence) spanish() (text string, ok bool) {
	if s.Format == "%s" && len(s.Args) == 1 { // a sentence that was chosen from a table
		text, ok = spanishTexts[fmt.Sprint(s.Args[0])]
		return text, ok
	}
	format, ok := spanishTexts[s.Format]
	return fmt.Sprintf(format, s.Args...), ok
}

// spanishOr says it in Spanish, or what is known about the code with the English
// sentence behind it, for it may hold what the reader needs.
func (s sentence) spanishOr(general string) string {
	if text, ok := s.spanish(); ok {
		return text
	}
	return general + " (" + s.english() + ")"
}

// translate puts the texts into the reader's language. It changes nothing of a
// problem that was translated already.
func (p *Problem) translate(l Language) {
	if p.language != "" {
		return
	}
	p.language = l
	t, ok := spanish[p.texts]
	if l != Spanish || !ok {
		p.language = English
		return
	}
	p.Title = t.Title
	p.Detail, p.Fix = t.Detail, t.Fix
	if p.said.Format != "" {
		p.Detail = p.said.spanishOr(t.Detail)
	}
	if p.fixSaid.Format != "" {
		p.Fix = p.fixSaid.spanishOr(t.Fix)
	}
	for i, want := range p.wants {
		if text, ok := want.spanish(); ok {
			p.Errors[i].Message = text
		}
	}
}
