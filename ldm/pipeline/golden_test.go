package pipeline

import (
	"context"
	"fmt"
	"testing"

	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/tensor"
)

// text2img is what the case.json of the fixture of the text-to-image pipeline has beside its runs.
type text2img struct {
	Prompts         []string          `json:"prompts"`
	TextPromptIndex []int             `json:"text_prompt_index"`
	VAEInput        string            `json:"vae_input"`
	Errors          goldentest.Errors `json:"fp32_vs_float64"`
}

func openText2Img(t *testing.T) (*Pipeline, *goldentest.Folder, *text2img) {
	t.Helper()
	c := new(text2img)
	f := goldentest.Open(t, "text2img-tiny", c)
	p, _ := openFixture(t, "text2img-tiny")
	return p, f, c
}

func TestGoldenText(t *testing.T) {
	p, f, c := openText2Img(t)
	want, shape := f.Floats("text/embedding")
	for i, index := range c.TextPromptIndex {
		got, err := p.encodeTokens(context.Background(), p.tokenize(c.Prompts[index], func(string) {}), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		size := shape[1] * shape[2]
		goldentest.Compare(t, fmt.Sprintf("text of %.30q", c.Prompts[index]), got.towards, want[i*size:][:size],
			c.Errors.Bound(t, "text/embedding"))
	}
	f.Count(len(c.TextPromptIndex))
}

func TestGoldenTextLayers(t *testing.T) {
	p, f, c := openText2Img(t)
	width, length := p.text.model.Width(), p.text.model.Length()
	ids, shape := f.Ints("text/ids")
	tokens := tensor.NewArray(1, length, width)
	row := make([]int32, shape[1]) // prompt 1
	for i := range row {
		row[i] = int32(ids[shape[1]+i])
	}
	if err := p.text.model.Embed(tokens.Data, row); err != nil {
		t.Fatal(err)
	}
	if err := p.text.load(p.folder); err != nil {
		t.Fatal(err)
	}
	nodes := goldentest.Observe(t, p.backend, map[string]tensor.Array{"tokens": tokens}, func(g *tensor.Graph) {
		p.text.model.Forward(g.Input("tokens", tokens.Shape...), 0)
	})
	cases := 0
	for ; f.Has(fmt.Sprintf("text/layer%d", cases)); cases++ {
		name := fmt.Sprintf("text/layer%d", cases)
		goldentest.Compare(t, name, nodes[fmt.Sprintf("model.layers.%d", cases)].Data, f.Array(name).Data,
			c.Errors.Bound(t, "text/embedding"))
	}
	f.Count(cases)
}

// The fixture's picture goes in as it was encoded: the reader of pictures agrees with Pillow.
func TestGoldenVAEInput(t *testing.T) {
	_, f, c := openText2Img(t)
	picture, err := imageio.ReadFile(f.Path(c.VAEInput))
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Compare(t, "vae/image", imageio.ToFloats(picture.Image), f.Array("vae/image").Data, goldentest.Bound(0))
}
