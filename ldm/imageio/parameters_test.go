package imageio

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParametersString(t *testing.T) {
	p := Parameters{
		Prompt: "a virus monster, oil on canvas", NegativePrompt: "blurry", Steps: 50, Sampler: "DDIM", GuidanceScale: 5,
		Seed: 42, Width: 256, Height: 128, ModelHash: "0123456789", Model: "text2img, large", Eta: 0.5,
		Extra: []Pair{{"Denoising strength", "0.75"}, {"Backend", "metal: Apple M3"}, {"Note", ""}}, Version: "ldm-mac 0.1.0",
	}
	want := "a virus monster, oil on canvas\n" +
		"Negative prompt: blurry\n" +
		"Steps: 50, Sampler: DDIM, CFG scale: 5.0, Seed: 42, Size: 256x128, Model hash: 0123456789, " +
		`Model: "text2img, large", Eta DDIM: 0.5, Denoising strength: 0.75, Backend: "metal: Apple M3", Note: "", Version: ldm-mac 0.1.0`
	if diff := cmp.Diff(want, p.String()); diff != "" {
		t.Error(diff)
	}
	want = "Steps: 0, CFG scale: 1.5, Seed: 0"
	if diff := cmp.Diff(want, Parameters{GuidanceScale: 1.5}.String()); diff != "" {
		t.Error(diff)
	}
}

func TestParseParameters(t *testing.T) {
	const settings = "\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x768, Model hash: 45dee52b"
	base := Parameters{
		Steps: 20, Sampler: "Euler a", GuidanceScale: 7, Seed: 965400086, Width: 512, Height: 768, ModelHash: "45dee52b",
	}
	with := func(change func(*Parameters)) Parameters {
		p := base
		change(&p)
		return p
	}
	for _, c := range []struct {
		text string
		want Parameters
	}{
		{"girl\nNegative prompt: ugly, (((deformed))), [blurry]" + settings, with(func(p *Parameters) {
			p.Prompt, p.NegativePrompt = "girl", "ugly, (((deformed))), [blurry]"
		})},
		{settings, base},
		{"Negative prompt: ugly" + settings, with(func(p *Parameters) { p.NegativePrompt = "ugly" })},
		{"one \n\n  two\nNegative prompt: three\nfour" + settings + "\n", with(func(p *Parameters) {
			p.Prompt, p.NegativePrompt = "one\n\ntwo", "three\nfour"
		})},
		{"Steps: 3, a: b, Seed: 4, and so on" + settings, with(func(p *Parameters) { p.Prompt = "Steps: 3, a: b, Seed: 4, and so on" })},
		{"no Negative prompt: here" + settings, with(func(p *Parameters) { p.Prompt = "no Negative prompt: here" })},
		{"x" + settings + `, Model: "a, b: \"c\"", Hires upscale: 2, Lora hashes: "x: 1, y: 2", Version: v1.9.4`, with(func(p *Parameters) {
			p.Prompt, p.Model, p.Version = "x", `a, b: "c"`, "v1.9.4"
			p.Extra = []Pair{{"Hires upscale", "2"}, {"Lora hashes", "x: 1, y: 2"}}
		})},
		{"x" + settings + `, Odd: "not json \q", Empty: , Bare, Größe: 1`, with(func(p *Parameters) {
			p.Prompt, p.Extra = "x", []Pair{{"Odd", `"not json \q"`}, {"Größe", "1"}}
		})},
		{"x" + settings + ", Eta: 0.25, Seed: 1", with(func(p *Parameters) { p.Prompt, p.Eta, p.Seed = "x", 0.25, 1 })},
		{"x" + settings + ", Eta DDIM: 0.25", with(func(p *Parameters) { p.Prompt, p.Eta = "x", 0.25 })},
		{"lost" + settings + `, Prompt: "a\nNegative prompt: b", Negative prompt: ""`, with(func(p *Parameters) {
			p.Prompt = "a\nNegative prompt: b"
		})},
		{"x\nSteps: 9, Sampler: PLMS, Model: m", Parameters{
			Prompt: "x", Steps: 9, Sampler: "PLMS", Model: "m", GuidanceScale: 1, Seed: -1,
		}},
	} {
		got, err := ParseParameters(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q: %s", c.text, diff)
		}
	}
}

func TestParseParametersErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "the last line has 0 pairs"},
		{"a cat\nNegative prompt: dog", "has 1 pairs"},
		{"a cat\nSteps: 20, Seed: 1", `has 2 pairs like "Steps: 20", want at least 3`},
		{"Steps: 20, Seed: 1, Size: 1x1\na cat", "has 0 pairs"},
		{"\xff\nSteps: 20, Seed: 1, Size: 1x1", "not UTF-8"},
		{"Steps: many, Seed: 1, Size: 1x1", `parameter "Steps" is "many", want a whole number from 0 to 2147483647`},
		{"Steps: -1, Seed: 1, Size: 1x1", `"-1", want a whole number from 0`},
		{"Steps: 1, Seed: 1.5, Size: 1x1", `"1.5", want a whole number of 64 bits`},
		{"Steps: 1, Seed: 9223372036854775808, Size: 1x1", "a whole number of 64 bits"},
		{"Steps: 1, Seed: 1, Size: big", `"Size" is "big", want WIDTHxHEIGHT`},
		{"Steps: 1, Seed: 1, Size: 1x99999999999", "want a whole number from 0 to 2147483647"},
		{"Steps: 1, Seed: 1, CFG scale: NaN", `"CFG scale" is "NaN", want a finite number`},
		{"Steps: 1, Seed: 1, Eta: 1e999", "want a finite number"},
	} {
		if _, err := ParseParameters(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.want)
		}
	}
}

// Whatever a prompt holds, it comes back: built from the pieces the format gives a meaning to.
func TestParametersRoundTrip(t *testing.T) {
	pieces := []string{
		"cat", " ", "\n", "\r", "\t", ",", ":", `"`, `\`, "\u00a0", "\u2028", "<b>&", "\x00", "猫", "Negative prompt:", "\nNegative prompt: ",
		"Steps: 1, Seed: 2, Size: 3x4", "\nSteps: 1, Sampler: a, Seed: 2, Size: 3x4", "Prompt: x", "{}", "",
	}
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		return b.String()
	}
	for range 5000 {
		p := Parameters{
			Prompt: text(), NegativePrompt: text(), Steps: r.IntN(1000), Sampler: text(), GuidanceScale: r.NormFloat64(),
			Seed: int64(r.Uint64()), Width: r.IntN(3), Height: r.IntN(3), ModelHash: text(), Model: text(),
			Eta: float64(r.IntN(3)) / 2, Extra: []Pair{{"Key/1 a-b ", text()}, {"鍵 1", text()}}, Version: text(),
		}
		got, err := ParseParameters(p.String())
		if err != nil {
			t.Fatalf("%q: %v", p.String(), err)
		}
		if diff := cmp.Diff(p, got); diff != "" {
			t.Fatalf("%q: %s", p.String(), diff)
		}
	}
}

func FuzzParameters(f *testing.F) {
	f.Add("a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Eta: 0.5")
	f.Add(`x` + "\n" + `Steps: 20, Model: "a, \"b\"", Seed: 1, Lora hashes: "c: d", Prompt: "e\n"`)
	f.Add("Negative prompt:\nNegative prompt: a\nKey : \"\", Bare, Größe: 1, Seed: -1, Size: 0x0")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseParameters(text)
		if err != nil {
			return
		}
		again, err := ParseParameters(p.String())
		if err != nil {
			t.Fatalf("%q: %v", p.String(), err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("%q: %s", p.String(), diff)
		}
	})
}
