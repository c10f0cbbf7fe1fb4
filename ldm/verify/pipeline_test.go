package verify

import (
	"slices"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/emoji"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/tensor"
)

// TestPipelineCheckOfAnotherModel: the published picture is one model's only.
func TestPipelineCheckOfAnotherModel(t *testing.T) {
	folder, err := checkpoint.OpenFolderFS(emoji.Name, emoji.FS())
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.Load(nil, folder)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, ok := PipelineCheck(p); ok {
		t.Error("the embedded model is taken for CompVis/ldm-text2im-large-256")
	}
}

func TestLastCorner(t *testing.T) {
	const h, w = 4, 5
	image := tensor.NewArray(1, 3, h, w)
	for y := range h {
		for x := range w { // blue at x, y; levels beyond 0 to 1 at the ends
			image.Data[(2*h+y)*w+x] = float32(x+10*y) - 23
		}
	}
	want := []float64{0, 0, 0, 0, 0.5, 1, 1, 1, 1}
	if got := lastCorner(image); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
