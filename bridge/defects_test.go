//go:build softmetal && linux && cgo

package bridge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDefectsAreCaught puts one defect at a time into a copy of bridge.m and runs a test that must notice. It
// shows that the stand-ins, the counts of live objects and the tests above see what they claim to see.
func TestDefectsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("each defect is compiled")
	}
	module := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(module, name), text, 0o600))
	}
	dir := filepath.Join(module, "bridge")
	check(t, os.CopyFS(dir, os.DirFS(".")))
	text, err := os.ReadFile("bridge.m")
	check(t, err)
	for _, defect := range []struct{ name, right, wrong, test, said string }{
		{"a release is missing", "		DROP(options);\n", "", "TestDispatch", "objects are alive"},
		{"a handle is not freed", "		DROP(p->state);\n		unmake(p);\n", "		DROP(p->state);\n", "TestDispatch", "handles and 0 objects are alive"},
		{"a retain is missing", "c->current = KEEP(first);", "c->current = first;", "TestCopy", "a retain is missing"},
		{"a release is too many", "		DROP(b->buffer);\n", "		[b->buffer release];\n		DROP(b->buffer);\n", "TestBuffer", "a release is too many"},
		{"an error is not checked", "if ([b status] == MTLCommandBufferStatusCompleted) ", "if (true) ", "TestCommandBufferFails", "the error is <nil>"},
		{"one of the command buffers is not checked", "for (id<MTLCommandBuffer> b in c->submitted) ended(b, &seconds, &e);", "",
			"TestCommandBufferFails", "the error is <nil>"},
		{"the order of feeds is ignored", "[n->inputs indexOfObject:[order objectAtIndex:i]]", "i", "TestMatMul", "another shape or type"},
		{"the encoder stays open", "		mtl_error_t e = NULL;\n		end(c);\n", "		mtl_error_t e = NULL;\n", "TestManyDispatches", "already encoding"},
		{"a replaced command buffer is used", "		follow(c);\n", "", "TestReplacedCommandBuffer", ""},
		{"an index is off by one", "atIndex:i + 1]", "atIndex:i]", "TestDispatch", ""},
		{"the commands are not waited for", "	[b waitUntilCompleted];\n	if", "	if", "TestCopy", "did not complete"},
	} {
		t.Run(defect.name, func(t *testing.T) {
			if n := strings.Count(string(text), defect.right); n != 1 {
				t.Fatalf("bridge.m has %q %d times, want once", defect.right, n)
			}
			check(t, os.WriteFile(filepath.Join(dir, "bridge.m"), []byte(strings.Replace(string(text), defect.right, defect.wrong, 1)), 0o600))
			cmd := exec.Command("go", "test", "-tags", "softmetal", "-run", "^"+defect.test+"$", ".")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), defect.said) || strings.Contains(string(out), "build failed") {
				t.Errorf("%s ended with %v, want %q:\n%s", defect.test, err, defect.said, out)
			}
		})
	}
}
