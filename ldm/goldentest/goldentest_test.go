package goldentest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// read are the fixtures that the tests of this project compare with, by the packages whose tests
// do it. The others belong to systems that the project does not have yet.
var read = map[string]string{
	"broken":           "checkpoint, imageio, pipeline, tokenizer, unet, cmd/ldm-mac",
	"ckpt-formats":     "checkpoint",
	"compvis-churches": "compvis, pipeline",
	"compvis-class":    "compvis, cond, pipeline",
	"compvis-inpaint":  "compvis, imageio, pipeline",
	"compvis-layout":   "compvis, cond, pipeline",
	"compvis-semantic": "compvis, cond, pipeline",
	"compvis-txt2img":  "compvis, pipeline",
	"emoji":            "imageio, cmd/ldm-mac",
	"noise":            "rng",
	"ops":              "tensor/tensortest, firststage, imageio, unet",
	"samplers":         "sampler",
	"sd-inpaint-tiny":  "cond, firststage, imageio, pipeline, tokenizer, unet",
	"sd-tiny":          "cond, firststage, imageio, pipeline, tokenizer, unet",
	"sd2-v-tiny":       "cond, firststage, pipeline, tokenizer, unet",
	"superres-tiny":    "firststage, imageio, pipeline, unet",
	"text2img-tiny":    "firststage, pipeline, tokenizer, unet",
	"uncond-tiny":      "firststage, pipeline, unet",
}

// TestGoldenFolders says by name which fixtures nothing is compared with.
func TestGoldenFolders(t *testing.T) {
	entries, err := os.ReadDir(Root())
	if err != nil {
		t.Fatal(err)
	}
	var folders, skipped []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(Root(), e.Name(), "case.json")); err != nil {
			continue
		}
		if _, ok := read[e.Name()]; ok {
			folders = append(folders, e.Name())
		} else {
			skipped = append(skipped, e.Name())
		}
	}
	slices.Sort(folders)
	t.Logf("%d fixtures are compared with: %q", len(folders), folders)
	t.Logf("%d fixtures of systems that are not built yet are skipped: %q", len(skipped), skipped)
	if len(folders) == 0 {
		t.Errorf("%s has no fixture that anything is compared with", Root())
	}
}
