package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"ldm-mac/ldm/tensor"
)

// Walk calls visit for every *tensor.Weight in the tree of structs below model, a pointer, with
// its dotted name made of the tags `weight:"…"`. Elements of slices count from 0, as in
// "down_blocks.0.resnets.1". Nil pointers are skipped. Fields without a tag are left alone, but
// for structs and embedded pointers, whose weights get no name part.
func Walk(model any, visit func(name string, w *tensor.Weight)) {
	walker{visit: visit}.value(reflect.ValueOf(model), "")
}

// walker goes through a model. lacks, when there, decides which optional fields become nil.
type walker struct {
	visit func(name string, w *tensor.Weight)
	lacks func(name string) bool
}

func (k walker) value(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if w, ok := v.Interface().(*tensor.Weight); ok {
			k.visit(name, w)
			return
		}
		k.value(v.Elem(), name)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			k.value(v.Index(i), join(name, fmt.Sprint(i)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			k.field(v.Field(i), v.Type().Field(i), name)
		}
	}
}

func (k walker) field(v reflect.Value, f reflect.StructField, name string) {
	tag, tagged := f.Tag.Lookup("weight")
	isStruct := f.Type.Kind() == reflect.Struct
	if !f.IsExported() && !(f.Anonymous && isStruct) || !tagged && !f.Anonymous && !isStruct {
		return
	}
	part, option, _ := strings.Cut(tag, ",")
	name = join(name, part)
	if option == "optional" && k.lacks != nil && k.lacks(name) {
		v.SetZero()
		return
	}
	k.value(v, name)
}

func join(name, part string) string {
	if name == "" || part == "" {
		return name + part
	}
	return name + "." + part
}

// Bind gives every weight of model, a pointer, its data out of f. The shapes wanted are in the
// tree already (tensor.NewWeight); prefix is the name of the whole tree in f, such as
// "model.diffusion_model", and may be empty.
//
// A pointer tagged `weight:"name,optional"` becomes nil when f holds nothing of that name. A 1x1
// convolution and a linear layer bind to each other, [o, i, 1, 1] to [o, i], and attention layers
// may have the names of older diffusers.
//
// The error lists all missing weights, other shapes, types that are no floating-point numbers,
// and keys below prefix that were not used, at once. ignore allows keys that may be left over,
// without prefix: an exact name, or one ending in a dot for all that begins so. After an error
// the model is bound in part.
func Bind(model any, f *File, prefix string, ignore ...string) error {
	b := binder{file: f, prefix: strings.TrimSuffix(prefix, "."), unused: map[string]bool{}}
	for name := range f.weights {
		if b.prefix == "" || strings.HasPrefix(name, b.prefix+".") {
			b.unused[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(b.unused))
	lacks := func(name string) bool {
		name = join(b.prefix, name)
		if _, ok := b.find(name); ok {
			return false
		}
		i, _ := slices.BinarySearch(names, name+".")
		return i == len(names) || !strings.HasPrefix(names[i], name+".")
	}
	walker{b.bind, lacks}.value(reflect.ValueOf(model), "")
	for name := range b.unused {
		if ignored(strings.TrimPrefix(strings.TrimPrefix(name, b.prefix), "."), ignore) {
			delete(b.unused, name)
		}
	}
	if err := b.err(); err != nil {
		return &Error{f.path, err}
	}
	return nil
}

func ignored(name string, ignore []string) bool {
	return slices.ContainsFunc(ignore, func(s string) bool {
		return name == s || strings.HasSuffix(s, ".") && strings.HasPrefix(name, s)
	})
}

// binder collects what Bind finds; every list but unused holds finished lines.
type binder struct {
	file                    *File
	prefix                  string
	missing, shapes, dtypes []string
	unused                  map[string]bool
}

func (b *binder) find(name string) (*tensor.Weight, bool) {
	w, ok := b.file.Weight(name)
	if !ok {
		if old, renamed := oldName(name); renamed {
			w, ok = b.file.Weight(old)
		}
	}
	return w, ok
}

func (b *binder) bind(name string, w *tensor.Weight) {
	name = join(b.prefix, name)
	found, ok := b.find(name)
	if !ok {
		b.missing = append(b.missing, fmt.Sprintf("%q %s", name, w.Shape))
		return
	}
	delete(b.unused, found.Name)
	switch {
	case !sameMatrix(found.Shape, w.Shape):
		b.shapes = append(b.shapes, fmt.Sprintf("%q is %s, want %s", found.Name, short(found.Shape), w.Shape))
	case !found.DType.Float():
		b.dtypes = append(b.dtypes, fmt.Sprintf("%q is %s", found.Name, found.DType))
	default:
		w.Name, w.DType, w.Data, w.Mapping = found.Name, found.DType, found.Data, found.Mapping
	}
}

// sameMatrix reports whether both shapes are equal, or are a matrix and a 1x1 convolution's
// kernel in one or two dimensions of the same elements.
func sameMatrix(a, b tensor.Shape) bool { return matrix(a).Equal(matrix(b)) }

func matrix(s tensor.Shape) tensor.Shape {
	for len(s) > 2 && s[len(s)-1] == 1 {
		s = s[:len(s)-1]
	}
	return s
}

// maxListed is how many keys of a kind an error names.
const maxListed = 20

func (b *binder) err() error {
	var unused []string
	for name := range b.unused {
		unused = append(unused, fmt.Sprintf("%q %s", name, short(b.file.weights[name].Shape)))
	}
	var text strings.Builder
	for _, fault := range []struct {
		what  string
		lines []string
	}{
		{"missing", b.missing},
		{"of another shape", b.shapes},
		{"of a type without floating-point numbers", b.dtypes},
		{"not used by the model", unused},
	} {
		if len(fault.lines) == 0 {
			continue
		}
		slices.Sort(fault.lines)
		fault.lines = slices.Compact(fault.lines) // layers may share a weight
		fmt.Fprintf(&text, "\n%s (%d):\n\t%s", fault.what, len(fault.lines),
			strings.Join(fault.lines[:min(len(fault.lines), maxListed)], "\n\t"))
		if more := len(fault.lines) - maxListed; more > 0 {
			fmt.Fprintf(&text, "\n\tand %d more", more)
		}
	}
	if text.Len() == 0 {
		return nil
	}
	return errors.New("the weights do not fit the model:" + text.String())
}
