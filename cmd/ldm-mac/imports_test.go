package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers says what each package may import of this module, directly: the dependencies point one
// way, from the program over the pipeline and the models to the vocabulary.
var layers = map[string][]string{
	"bridge":                          {"bridge/softmetal"},
	"bridge/softmetal":                {"bridge/softmetal/runtime"},
	"bridge/softmetal/misuse":         {},
	"bridge/softmetal/msl":            {"bridge/softmetal/runtime/device"},
	"bridge/softmetal/runtime":        {},
	"bridge/softmetal/runtime/device": {},
	"cmd/ldm-mac":                     {"ldm/arch", "ldm/checkpoint", "ldm/compvis", "ldm/cond", "ldm/cpu", "ldm/emoji", "ldm/firststage", "ldm/imageio", "ldm/labels", "ldm/pipeline", "ldm/rng", "ldm/sampler", "ldm/tensor", "ldm/tokenizer", "ldm/unet", "ldm/verify", "metal"},
	"cmd/mslc":                        {"bridge/softmetal/msl", "bridge/softmetal/runtime"},
	"cmd/selcheck":                    {},
	"cmd/systems":                     {"ldm/arch", "ldm/pipeline", "ldm/tensor"},
	"cmd/unet-eval":                   {"ldm/checkpoint", "ldm/cpu", "ldm/tensor", "ldm/unet"},
	"ldm/arch":                        {"ldm/checkpoint", "ldm/cond", "ldm/firststage", "ldm/tensor", "ldm/unet"},
	"ldm/checkpoint":                  {"ldm/tensor"},
	"ldm/compvis":                     {"ldm/checkpoint", "ldm/tensor"},
	"ldm/cond":                        {"ldm/nn", "ldm/tensor"},
	"ldm/cpu":                         {"ldm/tensor"},
	"ldm/emoji":                       {},
	"ldm/firststage":                  {"ldm/nn", "ldm/tensor"},
	"ldm/goldentest":                  {"ldm/checkpoint", "ldm/tensor"},
	"ldm/imageio":                     {},
	"ldm/labels":                      {},
	"ldm/nn":                          {"ldm/tensor"},
	"ldm/pipeline":                    {"ldm/checkpoint", "ldm/cond", "ldm/firststage", "ldm/imageio", "ldm/labels", "ldm/rng", "ldm/sampler", "ldm/tensor", "ldm/tokenizer", "ldm/unet"},
	"ldm/rng":                         {},
	"ldm/sampler":                     {},
	"ldm/tensor":                      {},
	"ldm/tensor/tensortest":           {"ldm/tensor"},
	"ldm/tokenizer":                   {},
	"ldm/unet":                        {"ldm/nn", "ldm/tensor"},
	"ldm/verify":                      {"ldm/checkpoint", "ldm/cond", "ldm/firststage", "ldm/imageio", "ldm/pipeline", "ldm/rng", "ldm/sampler", "ldm/tensor", "ldm/tensor/tensortest", "ldm/tokenizer", "ldm/unet"},
	"metal":                           {"bridge", "ldm/tensor", "shaders"},
	"shaders":                         {},
}

// outside says which packages may import modules of others, beside the standard library.
var outside = map[string][]string{
	"cmd/ldm-mac":    {"github.com/urfave/cli/v2", "golang.org/x/sys/", "golang.org/x/term"},
	"ldm/checkpoint": {"golang.org/x/sys/"},
	"ldm/compvis":    {"gopkg.in/yaml.v3"},
	"ldm/cpu":        {"golang.org/x/sys/", "gonum.org/v1/gonum/"},
	"ldm/imageio":    {"github.com/HugoSmits86/nativewebp", "golang.org/x/image/"},
	"ldm/tokenizer":  {"golang.org/x/text/"},
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "ldm-mac/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); seen++ {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(pkg.ImportPath, "ldm-mac/")
		allowed, known := layers[name]
		if !known {
			t.Errorf("%s has no place in the layers of this test", name)
			continue
		}
		for _, path := range pkg.Imports {
			inner, own := strings.CutPrefix(path, "ldm-mac/")
			external := strings.Contains(strings.Split(path, "/")[0], ".")
			switch {
			case own && !slices.Contains(allowed, inner):
				t.Errorf("%s imports %s", name, path)
			case external && !slices.ContainsFunc(outside[name], func(p string) bool { return strings.HasPrefix(path, p) }):
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	if seen < len(layers) {
		t.Errorf("%d packages found, want the %d of the layers", seen, len(layers))
	}
}
