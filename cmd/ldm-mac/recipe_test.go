package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/sampler"
)

func TestRecipeRoundTrip(t *testing.T) {
	want := recipe{
		Version: recipeVersion, Prompt: "a \"cat\",\nwith: été\x00", NegativePrompt: "<dog>", Seed: 1<<63 - 1,
		Width: 48, Height: 80, Steps: 7, Sampler: "euler_a", OwnSampler: true, Eta: 0.1, GuidanceScale: 7.3,
		RNG: "cuda", Model: recipeModel{"name", "some/path", strings.Repeat("0123456789abcdef", 4)},
		Backend: "cpu", DType: "f32", Noise: &recipeNoise{File: "noise.safetensors", SHA256: "00ff", Index: 3},
	}
	texts, err := want.texts()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if err := text.Validate(); err != nil {
			t.Error(err)
		}
	}
	got, err := parseOrigin(texts)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.recipe, want) {
		t.Errorf("got %+v, want %+v", got.recipe, want)
	}
}

// TestOwnParametersElsewhere reads what other programs are told, as if they had written it.
func TestOwnParametersElsewhere(t *testing.T) {
	r := recipe{
		Prompt: "a cat", NegativePrompt: "a dog", Seed: 7, Width: 48, Height: 80, Steps: 9,
		Sampler: "dpmpp_2m_karras", GuidanceScale: 3.5, RNG: "torch",
	}
	texts, err := r.texts()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseOrigin(texts[:1])
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.recipe, r) {
		t.Errorf("got %+v, want %+v", got.recipe, r)
	}
}

func TestForeignOrigin(t *testing.T) {
	// As the web UI writes it since version 1.9.
	text := "a castle\nNegative prompt: fog\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, " +
		"Seed: -1, Size: 512x768, Model hash: cc6cb27103, Model: v1-5, Clip skip: 2, Version: v1.10.1"
	got, err := parseOrigin([]imageio.Text{{Keyword: "parameters", Value: text}})
	if err != nil {
		t.Fatal(err)
	}
	want := recipe{
		Prompt: "a castle", NegativePrompt: "fog", Width: 512, Height: 768, Steps: 20,
		Sampler: "dpmpp_2m_karras", GuidanceScale: 6.5, RNG: "cuda",
	}
	if !reflect.DeepEqual(got.recipe, want) || !got.randomSeed {
		t.Errorf("got %+v, random seed %v, want %+v, true", got.recipe, got.randomSeed, want)
	}
	notes := strings.Join(got.notes, "; ")
	for _, want := range []string{"another program", "v1-5", "cc6cb27103", "Clip skip"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q: %s", want, notes)
		}
	}
	if strings.Contains(notes, "Schedule") {
		t.Errorf("the schedule is understood, but passed over: %s", notes)
	}
}

func TestParseOriginRefuses(t *testing.T) {
	for name, texts := range map[string][]imageio.Text{
		"nothing":     nil,
		"other texts": {{Keyword: "Software", Value: "x"}},
		"no JSON":     {{Keyword: recipeKeyword, Value: "{"}},
		"no version":  {{Keyword: recipeKeyword, Value: "{}"}},
		"newer":       {{Keyword: recipeKeyword, Value: `{"version":2}`}},
		"wrong types": {{Keyword: recipeKeyword, Value: `{"version":1,"steps":"many"}`}},
		"negative":    {{Keyword: recipeKeyword, Value: `{"version":1,"seed":-1}`}},
		"large seed":  {{Keyword: recipeKeyword, Value: `{"version":1,"seed":9223372036854775808}`}},
		"no pairs":    {{Keyword: "parameters", Value: "a cat"}},
	} {
		if o, err := parseOrigin(texts); err == nil {
			t.Errorf("%s: no error, but %+v", name, o)
		}
	}
}

// FuzzOrigin: whatever a picture says, it is an error or a recipe that can be written again.
func FuzzOrigin(f *testing.F) {
	f.Add(recipeKeyword, `{"version":1,"prompt":"a cat","seed":1,"noise":{"file":"x","index":-1}}`)
	f.Add(recipeKeyword, `{"version":1,"guidance_scale":1e308,"model":{"sha256":"0"}}`)
	f.Add(imageio.ParametersKeyword, "a\nSteps: 20, Sampler: Euler a, Seed: -1, Size: 512x512, RNG: NV")
	f.Add(imageio.ParametersKeyword, "Steps: 1, Seed: 9223372036854775807, Eta: 0.5, Model: \"a, b\"")
	f.Fuzz(func(t *testing.T, keyword, value string) {
		o, err := parseOrigin([]imageio.Text{{Keyword: keyword, Value: value}})
		if err != nil {
			return
		}
		texts, err := o.texts()
		if err != nil {
			t.Fatal(err)
		}
		var again recipe
		if err := json.Unmarshal([]byte(texts[1].Value), &again); err != nil {
			t.Fatal(err)
		}
	})
}

// Every sampler has a name that other programs' readers can give back.
func TestSamplerLabels(t *testing.T) {
	for _, name := range sampler.Names() {
		label, ok := imageio.SamplerLabel(name)
		if back, _ := imageio.SamplerName(label, ""); !ok || back != name {
			t.Errorf("%s is labelled %q, which reads as %q", name, label, back)
		}
	}
}
