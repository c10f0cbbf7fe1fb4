package shaders

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestSourceHoldsEveryFileOnce(t *testing.T) {
	names, err := fs.Glob(files, "*.*")
	if err != nil {
		t.Fatal(err)
	}
	if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, names) {
		t.Errorf("Source holds %v, the folder %v", sorted, names)
	}
	for _, name := range names {
		if n := strings.Count(Source(), "#line 1 \""+name+"\"\n"); n != 1 {
			t.Errorf("%s occurs %d times in Source", name, n)
		}
	}
}

func TestSourceIncludesOnlyMetal(t *testing.T) {
	for line := range strings.Lines(Source()) {
		if strings.HasPrefix(line, "#include") && !strings.HasPrefix(line, "#include <metal_") {
			t.Errorf("the driver finds no file for %q", line)
		}
	}
}

func TestHash(t *testing.T) {
	if h := Hash(); len(h) != 64 || h != Hash() {
		t.Errorf("Hash is %q, then %q", h, Hash())
	}
}
