package metal

import (
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The twins of args.h, all that a Launch method encodes.
var twins = []any{
	AffineArgs{}, SiLUArgs{}, GELUArgs{}, QuickGELUArgs{}, CastArgs{}, AddArgs{}, MulArgs{}, GEGLUArgs{}, FiniteArgs{},
	GroupNormStatsArgs{}, GroupNormArgs{}, LayerNormArgs{}, SoftmaxArgs{}, GEMMArgs{}, Conv2DArgs{}, AttentionArgs{},
	PermuteArgs{}, CopyArgs{}, RowArgs{}, PadArgs{}, UpsampleArgs{}, AvgPool2DArgs{},
}

var (
	structPattern = regexp.MustCompile(`(?s)struct (\w+) \{(.*?)\};`)
	fieldPattern  = regexp.MustCompile(`(?m)^    (\w+) (\w+)(?:\[(\d+)\])?;`)
	sizePattern   = regexp.MustCompile(`static_assert\(sizeof\((\w+)\) == (\d+), "(\w+)"\);`)
)

// field is one field of a struct in either language: its name without underscores and in lower
// case, its type as C calls it, and its length, 1 unless it is an array.
type field struct {
	name, kind string
	length     int
}

// plain is a name as both languages have it.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// TestArgs compares every struct of args.h with its twin: fields, order and types, and the size that
// the compiler of the kernels asserts with the size of what a Launch holds.
func TestArgs(t *testing.T) {
	header, err := os.ReadFile("../shaders/args.h")
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{}
	for _, m := range sizePattern.FindAllStringSubmatch(string(header), -1) {
		if m[1] != m[3] {
			t.Errorf("the size of %s is asserted in the name of %s", m[1], m[3])
		}
		sizes[plain(m[1])], _ = strconv.Atoi(m[2])
	}
	want := map[string][]field{}
	for _, m := range structPattern.FindAllStringSubmatch(string(header), -1) {
		var fields []field
		for _, f := range fieldPattern.FindAllStringSubmatch(m[2], -1) {
			length := 1
			if f[3] != "" {
				length, _ = strconv.Atoi(f[3])
			}
			fields = append(fields, field{plain(f[2]), f[1], length})
		}
		if n := strings.Count(strings.TrimSpace(m[2]), "\n") + 1; n != len(fields) {
			t.Errorf("%s has %d lines and %d fields of types known here", m[1], n, len(fields))
		}
		want[plain(m[1])] = fields
	}
	kinds := map[reflect.Kind]string{reflect.Uint32: "uint32_t", reflect.Float32: "float"}
	for _, twin := range twins {
		typ := reflect.TypeOf(twin)
		var got []field
		for i := range typ.NumField() {
			f := typ.Field(i)
			kind, length := f.Type.Kind(), 1
			if kind == reflect.Array {
				kind, length = f.Type.Elem().Kind(), f.Type.Len()
			}
			got = append(got, field{plain(f.Name), kinds[kind], length})
		}
		name := plain(typ.Name())
		if !reflect.DeepEqual(got, want[name]) {
			t.Errorf("%s has fields\n%v\nin args.h\n%v", typ.Name(), got, want[name])
		}
		if size := len(encode(twin)); size != sizes[name] || size == 0 {
			t.Errorf("%s has %d bytes, in args.h %d", typ.Name(), size, sizes[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s of args.h has no twin", name)
	}
}
