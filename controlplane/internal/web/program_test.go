package web

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/latchkey/latchkey/"
	rooms  = "controlplane/internal/"
	root   = "../../../" // from here
)

// program is the source of the packages that answer requests, type-checked, and
// which expressions may come to stand for what. The packages of others count as
// empty: what is of their types is unknown, and nothing that is looked for is.
type program struct {
	fset     *token.FileSet
	info     types.Info
	packages map[string]*types.Package

	calls   map[*types.Func][]*ast.CallExpr
	params  map[*types.Var]param
	values  map[*types.Var][]ast.Expr // what variables and members of structs are set to
	results map[*types.Func][]ast.Expr
	decls   map[*types.Func]*ast.FuncDecl
}

// param is where a parameter stands.
type param struct {
	of    *types.Func
	index int
}

// load reads the packages below controlplane/internal, but those in rooms that
// answer no request.
func load(t *testing.T, silent []string) *program {
	t.Helper()
	p := &program{
		fset: token.NewFileSet(), packages: map[string]*types.Package{},
		info: types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{},
		},
		calls: map[*types.Func][]*ast.CallExpr{}, params: map[*types.Var]param{}, values: map[*types.Var][]ast.Expr{}, results: map[*types.Func][]ast.Expr{},
		decls: map[*types.Func]*ast.FuncDecl{},
	}
	err := filepath.WalkDir(root+rooms, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		pkg := strings.TrimPrefix(filepath.ToSlash(name), root)
		if slices.Contains(silent, strings.TrimPrefix(pkg, rooms)) {
			return fs.SkipDir
		}
		_, err = p.Import(module + strings.TrimSuffix(pkg, "/"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var majorVersion = regexp.MustCompile(`/v[0-9]+$`)

// Import reads a package of the project, and makes an empty one of any other.
func (p *program) Import(name string) (*types.Package, error) {
	if known, ok := p.packages[name]; ok {
		return known, nil
	}
	dir, own := strings.CutPrefix(name, module)
	if !own {
		p.packages[name] = types.NewPackage(name, path.Base(majorVersion.ReplaceAllString(name, "")))
		p.packages[name].MarkComplete()
		return p.packages[name], nil
	}
	names, err := filepath.Glob(root + dir + "/*.go")
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(p.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	config := types.Config{Importer: p, Error: func(error) {}} // of what stays unknown
	p.packages[name], _ = config.Check(name, p.fset, files, &p.info)
	for _, file := range files {
		ast.Inspect(file, p.note)
	}
	return p.packages[name], nil
}

// note enters what a piece of source says into the tables.
func (p *program) note(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		if fn := p.callee(n); fn != nil {
			p.calls[fn] = append(p.calls[fn], n)
		}
	case *ast.FuncDecl:
		p.noteFunc(n)
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if v := p.variable(left); v != nil && len(n.Lhs) == len(n.Rhs) {
				p.values[v] = append(p.values[v], n.Rhs[i])
			}
		}
	case *ast.CompositeLit:
		p.noteMembers(n)
	}
	return true
}

func (p *program) noteFunc(f *ast.FuncDecl) {
	fn, ok := p.info.Defs[f.Name].(*types.Func)
	if !ok {
		return
	}
	p.decls[fn] = f
	signature := fn.Signature()
	for i := range signature.Params().Len() {
		p.params[signature.Params().At(i)] = param{fn, i}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok && signature.Results().Len() == 1 && len(r.Results) == 1 {
			p.results[fn] = append(p.results[fn], r.Results[0])
		}
		_, other := n.(*ast.FuncLit)
		return !other
	})
}

func (p *program) noteMembers(lit *ast.CompositeLit) {
	t := p.info.Types[lit].Type
	if t == nil {
		return
	}
	members, ok := t.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i, value := range lit.Elts {
		member := members.Field(min(i, members.NumFields()-1))
		if pair, named := value.(*ast.KeyValueExpr); named {
			key, _ := pair.Key.(*ast.Ident)
			member, _ = p.info.Uses[key].(*types.Var)
			value = pair.Value
		}
		p.values[member] = append(p.values[member], value)
	}
}

// callee returns the function or method that is called, of a generic one the one
// that was written.
func (p *program) callee(call *ast.CallExpr) *types.Func {
	of := ast.Unparen(call.Fun)
	if instance, ok := of.(*ast.IndexExpr); ok {
		of = instance.X
	}
	var name *ast.Ident
	switch of := of.(type) {
	case *ast.Ident:
		name = of
	case *ast.SelectorExpr:
		name = of.Sel
	default:
		return nil
	}
	fn, ok := p.info.Uses[name].(*types.Func)
	if !ok {
		return nil
	}
	return fn.Origin()
}

// variable returns the variable or member that an expression names.
func (p *program) variable(e ast.Expr) *types.Var {
	var o types.Object
	switch e := e.(type) {
	case *ast.Ident:
		if o = p.info.Uses[e]; o == nil {
			o = p.info.Defs[e]
		}
	case *ast.SelectorExpr:
		o = p.info.Uses[e.Sel]
	}
	v, _ := o.(*types.Var)
	return v
}

// literal is a text of the source that comes to stand somewhere, and the call
// whose argument it is.
type literal struct {
	text string
	at   token.Pos
	call *ast.CallExpr
	arg  int
}

// texts returns what an expression may come to be; lost is called for what cannot
// be followed to a text in the source.
func (p *program) texts(from literal, e ast.Expr, seen map[ast.Expr]bool, lost func(ast.Expr)) (all []literal) {
	e = ast.Unparen(e)
	if seen[e] {
		return nil
	}
	seen[e] = true
	if value := p.info.Types[e].Value; value != nil && value.Kind() == constant.String {
		from.text, from.at = constant.StringVal(value), e.Pos()
		return []literal{from}
	}
	if call, ok := e.(*ast.CallExpr); ok && p.results[p.callee(call)] != nil {
		for _, result := range p.results[p.callee(call)] {
			all = append(all, p.texts(from, result, seen, lost)...)
		}
		return all
	}
	v := p.variable(e)
	if in, ok := p.params[v]; ok {
		for _, call := range p.calls[in.of] {
			all = append(all, p.texts(literal{call: call, arg: in.index}, call.Args[in.index], seen, lost)...)
		}
		return all
	}
	if v == nil || p.values[v] == nil {
		lost(e)
	}
	for _, value := range p.values[v] {
		all = append(all, p.texts(from, value, seen, lost)...)
	}
	return all
}

// within names the function in which a piece of source stands, such as
// "(*keys.Key).check".
func (p *program) within(at token.Pos) string {
	for fn, decl := range p.decls {
		if decl.Pos() <= at && at < decl.End() {
			return short(fn.FullName())
		}
	}
	return ""
}

// short leaves the paths out of a name.
func short(name string) string { return strings.ReplaceAll(name, module+rooms, "") }
