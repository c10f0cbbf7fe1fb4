//go:build softmetal && linux && cgo

package bridge

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTypes checks the types of bridge.m with all warnings, with objects counted by hand and by the
// compiler: the runtime of Debian's GNUstep has no ARC, but clang checks it all the same.
func TestTypes(t *testing.T) {
	libobjc, err := filepath.Glob("/usr/lib/gcc/*/*/include/objc")
	check(t, err)
	if len(libobjc) == 0 {
		t.Fatal("the headers of libobjc are missing; run .ci/setup-metal")
	}
	flags := []string{"-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-warning-option", "-D_GNU_SOURCE",
		"-fobjc-exceptions", "-fexceptions", "-fconstant-string-class=NSConstantString", "-DGNUSTEP", "-DGNUSTEP_BASE_LIBRARY=1",
		"-DGNU_RUNTIME=1", "-D_NATIVE_OBJC_EXCEPTIONS", "-Isoftmetal/include", "-isystem", "/usr/include/GNUstep",
		"-idirafter", filepath.Dir(libobjc[len(libobjc)-1])}
	for name, more := range map[string][]string{
		"by hand": {"-fobjc-runtime=gcc"},
		"arc":     {"-fobjc-runtime=gnustep-2.0", "-fobjc-arc", "-isystem", "softmetal/testdata/arc"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(append(more, flags...), "bridge.m")
			if out, err := exec.Command("clang-19", args...).CombinedOutput(); err != nil {
				t.Errorf("clang-19: %v\n%s", err, out)
			}
		})
	}
}
