package shaders_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"ldm-mac/metal"
	"ldm-mac/shaders"
)

// TestEveryKernelIsKnown compares the instances that Source asks for with the table of package metal.
func TestEveryKernelIsKnown(t *testing.T) {
	source, known := shaders.Source(), []string{}
	for _, k := range metal.Kernels() {
		known = append(known, k.Name)
	}
	slices.Sort(known)
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^INSTANCE\("(\w+)"`).FindAllStringSubmatch(source, -1) {
		names = append(names, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^FLOATS\((\w+)\)$`).FindAllStringSubmatch(source, -1) {
		names = append(names, m[1]+"_f32", m[1]+"_f16")
	}
	slices.Sort(names)
	if !slices.Equal(names, known) {
		t.Errorf("Source has the kernels\n%v\npackage metal knows\n%v", names, known)
	}
	if n := strings.Count(source, "host_name"); n != 1 {
		t.Errorf("host_name occurs %d times in Source, want once, in INSTANCE", n)
	}
}

func TestThreadgroupMemoryFits(t *testing.T) {
	for _, k := range metal.Kernels() {
		if k.Threadgroup > 32<<10 {
			t.Errorf("kernel %s declares %d bytes of threadgroup memory, at most 32 KiB exist", k.Name, k.Threadgroup)
		}
	}
}
