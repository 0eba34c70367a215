package web

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// answerNothing are the rooms whose words go to operators, never into a problem.
var answerNothing = []string{"app", "cli", "config", "pgserver", "pgtest", "postgres/seed"}

// toOperators are the functions beyond them that only the command line calls, or
// the start.
var toOperators = []string{
	"(*journal.Audit).Prune", "(*journal.Audit).verify", "journal.ParseHead",
	"postgres.badDSN", "(*postgres.stream).prepare", "postgres.withProvider",
	"records.OpenPeppers", "(*records.Peppers).agrees", "users.parse",
}

// say are the functions whose argument of that index ends up in a problem.
var say = map[string]int{
	"fault.New": 1, "(*fault.Error).WithFix": 0, "(*fault.Fields).Add": 1,
	"(*web.Problem).Say": 0, "(*web.Problem).Advise": 0, "(*web.Problem).At": 1,
}

// madeWhileRunning are the functions that also pass texts on which are not in the
// source as they are: what they say is held by TestWrongValuesInWords and by
// TestProblemsInSpanish.
var madeWhileRunning = []string{"api.wrong", "web.ProblemOf"}

// Whatever a problem may say about an occurrence, it also says in Spanish: the
// source is read for it, so that no text can be added and forgotten.
func TestEverythingSaidIsInSpanish(t *testing.T) {
	t.Parallel()
	p := load(t, answerNothing)
	seen, found := map[ast.Expr]bool{}, map[string]bool{}
	follow := func(from literal, e ast.Expr) []literal {
		return p.texts(from, e, seen, func(lost ast.Expr) {
			if in := p.within(lost.Pos()); !slices.Contains(madeWhileRunning, in) {
				t.Errorf("%s: nobody can tell what %s says here; let it be a text of the source", p.fset.Position(lost.Pos()), in)
			}
		})
	}
	for _, said := range p.said(follow) {
		ways := []literal{said}
		if said.text == "%s" && said.call != nil { // a text that is chosen elsewhere
			ways = follow(literal{call: said.call, arg: said.arg + 1}, said.call.Args[said.arg+1])
		}
		for _, way := range ways {
			p.mustBeInSpanish(t, way)
			found[way.text] = true
		}
	}
	for _, text := range []string{ // one of each way to say something
		"at least one condition", "the session has ended", "resume it first", "the owner has no such subscription",
		"another user has this username", "The key lacks the scope %s.", "want a string", "given twice", "the database does not answer",
	} {
		if !found[text] {
			t.Errorf("the source says %q, and this test does not see it", text)
		}
	}
}

// said returns whatever the functions that say something may be given to say.
func (p *program) said(follow func(literal, ast.Expr) []literal) (all []literal) {
	for fn, calls := range p.calls {
		i, ok := say[short(fn.FullName())]
		for _, call := range calls {
			if ok {
				all = append(all, follow(literal{call: call, arg: i}, call.Args[i])...)
			}
		}
	}
	for v, values := range p.values { // faults whose fields are written out
		for _, value := range values {
			if v.Pkg().Name() == "fault" && v.Name() == "Message" && !strings.HasPrefix(strings.TrimPrefix(p.within(value.Pos()), "(*"), "fault.") {
				all = append(all, follow(literal{}, value)...)
			}
		}
	}
	return all
}

func (p *program) mustBeInSpanish(t *testing.T, said literal) {
	t.Helper()
	if _, ok := spanishTexts[said.text]; ok || said.text == "" || slices.Contains(toOperators, p.within(said.at)) || p.isInternal(said.call) {
		return
	}
	t.Errorf("%s: %q has no Spanish: add it to spanishrules.go, or to spanishsaid.go", p.fset.Position(said.at), said.text)
}

// isInternal reports whether the call makes a fault whose text no client sees.
func (p *program) isInternal(call *ast.CallExpr) bool {
	return call != nil && slices.ContainsFunc(call.Args, func(arg ast.Expr) bool {
		kind, ok := arg.(*ast.SelectorExpr)
		return ok && p.info.Uses[kind.Sel] != nil && short(p.info.Uses[kind.Sel].String()) == "const fault.Internal fault.Kind"
	})
}

// A text is translated in one place.
func TestNothingIsTranslatedTwice(t *testing.T) {
	t.Parallel()
	if n := len(spanishSentences) + len(spanishWants) + len(spanishRules); n != len(spanishTexts) {
		t.Errorf("%d of the %d translations are there twice", n-len(spanishTexts), n)
	}
}
