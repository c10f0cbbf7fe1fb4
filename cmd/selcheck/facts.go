package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Facts are what darwinkit's bindings, generated from Apple's documentation and headers of
// macOS 12, say of classes, protocols and enumerators.
type facts struct {
	names   map[string]string   // class or protocol by its name in small letters
	super   map[string]string   // class → superclass
	methods map[string][]string // "-[MTLDevice newBufferWithLength:options:]" → "u8u8>p", or several
	values  map[string]string   // enumerator → value
}

// prefixes are those of the names in each package of darwinkit, which leaves them away.
var prefixes = map[string]string{"foundation": "NS", "metal": "MTL", "mps": "MPS", "mpsgraph": "MPSGraph"}

// loadFacts reads darwinkit's packages.
func loadFacts() (*facts, error) {
	f := &facts{map[string]string{"nsobject": "NSObject"}, map[string]string{}, map[string][]string{}, map[string]string{}}
	packages, err := list(darwinkit+"foundation", darwinkit+"metal", darwinkit+"mps", darwinkit+"mpsgraph")
	if err != nil {
		return nil, err
	}
	prog, err := load(packages)
	if err != nil {
		return nil, err
	}
	owners := map[types.Object]string{} // Go type → class or protocol
	for _, p := range packages {
		if prefix, ok := prefixes[path.Base(p.ImportPath)]; ok && strings.HasPrefix(p.ImportPath, darwinkit) {
			f.addOwners(prog, p.ImportPath, owners)
			f.addValues(prog.packages[p.ImportPath].Scope(), prefix)
		}
	}
	for object, class := range owners {
		f.addSuper(object, class, owners)
	}
	for _, files := range prog.files {
		for _, file := range files {
			for _, decl := range file.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Body != nil {
					f.addMethod(prog, fn, owners)
				}
			}
		}
	}
	return f, nil
}

// topic is the link to Apple's page in the comment of a protocol's type; the page has its name.
var topic = regexp.MustCompile(`documentation/[a-z]+/([a-z0-9_]+)\?`)

// addOwners finds the Go types of classes and protocols:
//
//	var HeapDescriptorClass = _HeapDescriptorClass{objc.GetClass("MTLHeapDescriptor")}
//	// … https://developer.apple.com/documentation/metal/mtldevice?language=objc
//	type PDevice interface {
//
// with HeapDescriptor and DeviceObject as the types of their objects.
func (f *facts) addOwners(prog *program, pkg string, owners map[types.Object]string) {
	scope := prog.packages[pkg].Scope()
	for _, file := range prog.files[pkg] {
		for _, decl := range file.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			switch spec := general.Specs[0].(type) {
			case *ast.ValueSpec:
				if len(spec.Values) == 1 {
					if class := argument(spec.Values[0], "GetClass"); class != "" {
						name := strings.TrimSuffix(spec.Names[0].Name, "Class")
						if object := scope.Lookup(name); object != nil {
							owners[object] = class
							owners[scope.Lookup("_"+name+"Class")] = "+" + class
						}
						f.names[strings.ToLower(class)] = class
					}
				}
			case *ast.TypeSpec:
				_, isInterface := spec.Type.(*ast.InterfaceType)
				match := topic.FindStringSubmatch(general.Doc.Text())
				object := scope.Lookup(spec.Name.Name[1:] + "Object")
				if isInterface && match != nil && object != nil && spec.Name.Name[0] == 'P' {
					owners[object] = match[1] // in small letters
				}
			}
		}
	}
}

// argument returns "x" if e contains the call objc.name("x").
func argument(e ast.Node, name string) (text string) {
	ast.Inspect(e, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && len(call.Args) == 1 {
			fun, isSelector := call.Fun.(*ast.SelectorExpr)
			literal, isLiteral := call.Args[0].(*ast.BasicLit)
			if isSelector && isLiteral && fun.Sel.Name == name && literal.Kind == token.STRING {
				text, _ = strconv.Unquote(literal.Value)
			}
		}
		return true
	})
	return text
}

// addValues adds the integer constants of a package.
func (f *facts) addValues(scope *types.Scope, prefix string) {
	for _, name := range scope.Names() {
		if c, ok := scope.Lookup(name).(*types.Const); ok && c.Val().Kind() == constant.Int {
			f.values[prefix+name] = c.Val().ExactString()
		}
	}
}

// addSuper adds the superclass, which a class's struct embeds.
func (f *facts) addSuper(object types.Object, class string, owners map[types.Object]string) {
	structure, ok := object.Type().Underlying().(*types.Struct)
	if !ok || structure.NumFields() == 0 || class[0] == '+' {
		return
	}
	f.super[class] = "NSObject"
	if named, ok := structure.Field(0).Type().(*types.Named); ok && owners[named.Obj()] != "" {
		f.super[class] = owners[named.Obj()]
	}
}

// addMethod adds the selector that a method of a class or a protocol's object sends.
func (f *facts) addMethod(prog *program, fn *ast.FuncDecl, owners map[types.Object]string) {
	object := prog.info.Defs[fn.Name].(*types.Func)
	signature := object.Signature()
	receiver, ok := signature.Recv().Type().(*types.Named)
	selector := argument(fn.Body, "Sel")
	if !ok || selector == "" || owners[receiver.Obj()] == "" || asks(fn.Body) {
		return
	}
	sign, owner := "-", owners[receiver.Obj()]
	if class, ok := strings.CutPrefix(owner, "+"); ok {
		sign, owner = "+", class
	}
	if name := f.names[owner]; name != "" {
		owner = name
	}
	kinds := ""
	for i := range signature.Params().Len() {
		if i == signature.Params().Len()-1 && signature.Variadic() {
			break
		}
		kinds += goKind(signature.Params().At(i).Type())
	}
	kinds += ">"
	if signature.Results().Len() == 1 {
		kinds += goKind(signature.Results().At(0).Type())
	} else {
		kinds += "v"
	}
	key := methodName(sign, owner, selector)
	f.methods[key] = append(f.methods[key], kinds)
}

// asks reports whether a method is one of those that ask a protocol's object for an optional method.
func asks(body ast.Node) (asks bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		name, ok := n.(*ast.Ident)
		asks = asks || ok && name.Name == "RespondsToSelector"
		return !asks
	})
	return asks
}

// methodName is how clang writes a method; of protocols' names, darwinkit knows small letters alone.
func methodName(sign, owner, selector string) string {
	return sign + "[" + strings.ToLower(owner) + " " + selector + "]"
}

// goKind is the kind, in the sense of cKind, of the C type that a Go type of darwinkit stands for.
func goKind(t types.Type) string {
	size := strconv.FormatInt(sizes.Sizeof(t), 10)
	switch u := t.Underlying().(type) {
	case *types.Basic:
		info := u.Info()
		switch {
		case info&types.IsBoolean != 0:
			return "B"
		case info&types.IsString != 0 || u.Kind() == types.UnsafePointer:
			return "p"
		case info&types.IsUnsigned != 0:
			return "u" + size
		case info&types.IsInteger != 0:
			return "i" + size
		case info&types.IsFloat != 0:
			return "f" + size
		}
	case *types.Struct:
		if u.NumFields() > 0 && u.Field(0).Embedded() || u.NumFields() == 1 {
			return goKind(u.Field(0).Type()) // of a class, down to objc.Object, a pointer
		}
		return "s" + size
	}
	return "p" // a pointer, an object's interface, a block, a slice or map for a collection
}
