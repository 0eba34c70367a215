package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
	ImportPath, FailedBuild       string
	Elapsed                       float64
}

// report tells the story of one run. A test with subtests is not counted beside
// them, unless it failed by itself; a package that fails without a failing test
// (it does not build, it panicked, it ran out of time) counts as one failure.
type report struct {
	out      io.Writer
	all      bool                // a test that was left out is a failure
	packages map[string]*results // that have not ended
	builds   map[string]string   // what the compiler said, by import path
	passed   int
	failed   int
	leftOut  []string // "package.Test (reason)"
}

type results struct {
	order  []string // tests as they ended
	ended  map[string]string
	output map[string]*strings.Builder // "" is the package's own
}

func newReport(out io.Writer, all bool) *report {
	return &report{out: out, all: all, packages: map[string]*results{}, builds: map[string]string{}}
}

func (r *report) print(text string) { fmt.Fprint(r.out, text) }

func (r *report) take(e event) {
	switch e.Action {
	case "build-output":
		r.builds[e.ImportPath] += e.Output
		return
	case "build-fail":
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &results{ended: map[string]string{}, output: map[string]*strings.Builder{}}
		r.packages[e.Package] = p
	}
	switch {
	case e.Action == "output":
		if p.output[e.Test] == nil {
			p.output[e.Test] = &strings.Builder{}
		}
		p.output[e.Test].WriteString(e.Output)
	case e.Action != "pass" && e.Action != "fail" && e.Action != "skip":
	case e.Test != "":
		p.order = append(p.order, e.Test)
		p.ended[e.Test] = e.Action
	default:
		r.end(p, e)
		delete(r.packages, e.Package)
	}
}

// end counts a package's tests and prints its line.
func (r *report) end(p *results, e event) {
	passed, failed := 0, 0
	for _, name := range p.order {
		action := p.ended[name]
		if p.anyBelow(name, "") && (action != "fail" || p.anyBelow(name, "fail")) {
			continue
		}
		switch action {
		case "pass":
			passed++
		case "fail":
			failed++
		case "skip":
			r.leftOut = append(r.leftOut, fmt.Sprintf("%s.%s (%s)", short(e.Package), name, reason(p.said(name))))
		}
	}
	if e.Action == "fail" && failed == 0 {
		failed = 1
	}
	r.passed, r.failed = r.passed+passed, r.failed+failed
	switch {
	case e.Action == "fail":
		r.explain(p, e)
		r.print(fmt.Sprintf("FAIL  %s  %.1fs  %d passed, %d failed\n", short(e.Package), e.Elapsed, passed, failed))
	case passed > 0:
		r.print(fmt.Sprintf("ok    %s  %.1fs  %d passed\n", short(e.Package), e.Elapsed, passed))
	}
}

// explain prints all that belongs to a failure: what the compiler said, the
// failed tests, the tests that had not ended, and the package's own output.
func (r *report) explain(p *results, e event) {
	r.print("\n" + r.builds[e.FailedBuild])
	var names []string
	for name := range p.output {
		if action := p.ended[name]; name != "" && action != "pass" && action != "skip" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		r.print(p.said(name))
	}
	r.print(p.said(""))
}

// close prints the last lines and reports whether the run is to fail. broken
// says that `go test` failed.
func (r *report) close(broken bool) (fail bool) {
	for name, p := range r.packages { // those whose end never came
		r.failed++
		r.explain(p, event{Package: name})
		r.print(fmt.Sprintf("FAIL  %s  did not end\n", short(name)))
	}
	if r.failed == 0 && broken {
		r.failed = 1 // such as a package pattern that matches nothing
	}
	if r.all {
		for _, test := range r.leftOut {
			r.print("FAIL  " + test + ": with LATCHKEY_TEST_ALL=1 nothing may be left out\n")
		}
		r.failed += len(r.leftOut)
		r.leftOut = nil
	}
	last := fmt.Sprintf("%d passed, %d failed", r.passed, r.failed)
	if len(r.leftOut) > 0 {
		last += fmt.Sprintf(", %d left out: %s", len(r.leftOut), strings.Join(r.leftOut, ", "))
	}
	r.print(last + "\n")
	return r.failed > 0
}

// anyBelow reports whether the test has a subtest that ended so; "" is anyhow.
func (p *results) anyBelow(name, action string) bool {
	return slices.ContainsFunc(p.order, func(other string) bool {
		return strings.HasPrefix(other, name+"/") && (action == "" || p.ended[other] == action)
	})
}

func (p *results) said(name string) string {
	if p.output[name] == nil {
		return ""
	}
	return p.output[name].String()
}

var skipLine = regexp.MustCompile(`(?m)^\s+\S+\.go:\d+: (.*)$`)

// reason is the last thing that a skipped test said.
func reason(said string) string {
	lines := skipLine.FindAllStringSubmatch(said, -1)
	if len(lines) == 0 {
		return "no reason given"
	}
	return lines[len(lines)-1][1]
}

func short(pkg string) string {
	return strings.TrimPrefix(pkg, "github.com/latchkey/latchkey/")
}
