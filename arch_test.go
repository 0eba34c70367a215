// Package latchkey_test keeps the dependency rule and the house rules that a
// program can check. docs/architecture.md has the picture.
package latchkey_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module  = "github.com/latchkey/latchkey/"
	inside  = "controlplane/internal/"
	longest = 300 // lines of a file
)

// sharedRooms may import what their line names.
var sharedRooms = map[string][]string{
	"shared/ratelimit": {},
	"shared/apikey":    {"shared/ratelimit"},
	"shared/problem":   {"shared/apikey"},
	"shared/meter":     {"shared/ratelimit", "shared/apikey"},
	"shared/validator": {"shared/ratelimit", "shared/apikey", "shared/meter"},
	"shared/wire":      {"shared/ratelimit", "shared/apikey", "shared/meter"},
	"shared/edge":      {"shared/ratelimit", "shared/apikey", "shared/meter", "shared/wire", "shared/validator"},
}

// domains may import what stands on the lines above theirs, and shared packages
// but the edge's half.
var domains = [][]string{
	{"fault"},
	{"id"},
	{"clock"},
	{"field"},
	{"access"},
	{"journal"},
	{"users"},
	{"limits"},
	{"plans"},
	{"subscriptions"},
	{"keys"},
	{"devices", "trials", "records", "bootstrap", "imports", "usage", "gateways", "identity"},
	{"overview", "jobs", "settings"},
}

// otherRooms may import what their line names, "domains" being all of them, and
// shared packages but the edge's half.
var otherRooms = map[string][]string{
	"config":   {"fault"},
	"web":      {"fault", "id", "field", "access"},
	"docs":     {"web", "fault"},
	"caller":   {"web", "domains"},
	"api":      {"web", "caller", "domains"},
	"doors":    {"web", "caller", "domains"},
	"edgeapi":  {"web", "caller", "domains"},
	"postgres": {"domains", "migrations"},
	"valkey":   {"domains"},
	"pgserver": {},
	"pgtest":   {"pgserver", "migrations"},
	"app":      {"config", "web", "caller", "docs", "api", "doors", "edgeapi", "postgres", "valkey", "pgserver", "domains", "migrations", "dashboard"},
	"cli":      {"app", "config", "web", "caller", "docs", "api", "doors", "edgeapi", "postgres", "valkey", "pgserver", "domains", "migrations", "dashboard"},
}

// homes are the only rooms that may import a library, so that it can be changed
// in one place.
var homes = map[string][]string{
	"github.com/danielgtaylor/huma/":  {inside + "api", inside + "doors"},
	"github.com/uptrace/bun":          {inside + "postgres"},
	"github.com/jackc/pgx/":           {inside + "postgres", inside + "pgtest"},
	"database/sql":                    {inside + "postgres", inside + "pgtest"},
	"github.com/pressly/goose/":       {inside + "postgres", inside + "pgtest"},
	"github.com/ory/dockertest/":      {inside + "pgtest"},
	"github.com/allegro/bigcache/":    {"shared/validator"},
	"github.com/Kong/go-pdk":          {"plugin", "kong"},
	"github.com/valkey-io/valkey-go":  {inside + "valkey"},
	"github.com/caarlos0/env/":        {inside + "config", "plugin"},
	"github.com/alecthomas/kong":      {inside + "cli", "controlplane"},
	"github.com/google/go-cmp":        {"kong/cases"}, // which tests import
	"pgregory.net/rapid":              {},
	"github.com/stretchr/testify":     {},
	"go.uber.org/goleak":              {},
	"github.com/peterldowns/pgtestdb": {},
}

// strangeToDomains is what they do not know: SQL, HTTP, loggers.
var strangeToDomains = []string{"net/http", "log", "database/sql"}

// valuer is an interface alone, by which an id says how it is stored.
const valuer = "database/sql/driver"

// source is one Go file that is no test.
type source struct {
	path, room string
	file       *ast.File
	lines      int
	imports    []string
}

func TestDependencyRule(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		allowed, known := mayImport(s.room)
		if !known {
			t.Errorf("%s: the room %s is in no table of this test: say what it may import", s.path, s.room)
			continue
		}
		for _, imported := range s.imports {
			if own, ok := strings.CutPrefix(imported, module); ok {
				if !within(own, s.room) && !slices.ContainsFunc(allowed, func(a string) bool { return within(own, a) }) {
					t.Errorf("%s: %s may not import %s", s.path, s.room, own)
				}
				continue
			}
			if imported == valuer && s.room == inside+"id" {
				continue
			}
			for library, rooms := range homes {
				at := func(room string) bool { return within(s.room, room) }
				if strings.HasPrefix(imported, library) && !slices.ContainsFunc(rooms, at) {
					t.Errorf("%s: %s is for %s, not for %s", s.path, imported, strings.Join(append(rooms, "tests"), ", "), s.room)
				}
			}
			if isDomain(s.room) && slices.ContainsFunc(strangeToDomains, func(l string) bool { return within(imported, l) }) {
				t.Errorf("%s: a domain may not import %s", s.path, imported)
			}
		}
	}
}

// mayImport lists the project's packages that a room may import beside its own.
func mayImport(room string) (allowed []string, known bool) {
	if allowed, known = sharedRooms[room]; known {
		return allowed, true
	}
	switch {
	case within(room, "plugin"):
		return []string{"shared/edge", "shared/validator", "shared/problem", "shared/apikey", "shared/ratelimit", "plugin"}, true
	case within(room, "kong/cases"):
		return []string{"kong/kongtest", "shared/wire", "shared/problem", "shared/apikey"}, true
	case within(room, "migrations"), within(room, "dashboard"), within(room, "kong"):
		return nil, true
	case room == "controlplane":
		return []string{inside + "cli"}, true
	}
	name, ok := strings.CutPrefix(room, inside)
	if !ok {
		return nil, false
	}
	allowed = []string{"shared/ratelimit", "shared/apikey", "shared/problem", "shared/meter", "shared/validator", "shared/wire"}
	if isDomain(room) {
		for _, line := range domains {
			if slices.Contains(line, name) {
				break
			}
			allowed = append(allowed, rooms(line)...)
		}
		return allowed, true
	}
	others, ok := otherRooms[name]
	for _, other := range others {
		switch other {
		case "domains":
			allowed = append(allowed, rooms(slices.Concat(domains...))...)
		case "migrations", "dashboard":
			allowed = append(allowed, other)
		default:
			allowed = append(allowed, inside+other)
		}
	}
	return allowed, ok
}

func isDomain(room string) bool {
	name, ok := strings.CutPrefix(room, inside)
	return ok && slices.Contains(slices.Concat(domains...), name)
}

func rooms(names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = inside + name
	}
	return paths
}

// within reports whether a package is the room or below it.
func within(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range sources(t) {
		pkg := path.Dir(s.path)
		documented[pkg] = documented[pkg] || s.file.Doc != nil
	}
	for pkg, has := range documented {
		if !has {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.lines > longest && !ast.IsGenerated(s.file) {
			t.Errorf("%s has %d lines, more than %d", s.path, s.lines, longest)
		}
	}
}

func TestNoVagueNames(t *testing.T) {
	t.Parallel()
	vague := []string{"util", "utils", "common", "models", "types", "helper", "helpers", "manager", "impl", "misc", "base"}
	for _, s := range sources(t) {
		if slices.Contains(vague, s.file.Name.Name) {
			t.Errorf("%s: package %s says nothing about what it owns", s.path, s.file.Name.Name)
		}
	}
}

// sources reads the project's Go files but its tests. The tools are a module of
// their own, under rules of their own.
func sources(t *testing.T) (all []source) {
	t.Helper()
	for _, top := range []string{"controlplane", "shared", "plugin", "migrations", "kong", "dashboard", "deploy", "bench"} {
		err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
			if top == name && os.IsNotExist(err) {
				return nil
			}
			if err != nil {
				return err
			}
			if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "testdata") {
				return fs.SkipDir
			}
			if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			s, err := read(filepath.ToSlash(name))
			all = append(all, s)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func read(name string) (source, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return source{}, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return source{}, err
	}
	s := source{path: name, room: roomOf(path.Dir(name)), file: file, lines: bytes.Count(text, []byte("\n"))}
	for _, spec := range file.Imports {
		s.imports = append(s.imports, strings.Trim(spec.Path.Value, `"`))
	}
	return s, nil
}

// roomOf is the part of a folder's path that the tables speak of.
func roomOf(dir string) string {
	parts := strings.Split(dir, "/")
	depth := len(parts)
	switch {
	case within(dir, strings.TrimSuffix(inside, "/")):
		depth = 3
	case parts[0] == "shared":
		depth = 2
	}
	return strings.Join(parts[:min(depth, len(parts))], "/")
}
