package compvis

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

// fixtureState is a fixture's checkpoint, open until the test ends.
func fixtureState(f *testing.F, name string) *state {
	f.Helper()
	file, err := checkpoint.Open(filepath.Join(goldentest.Root(), name, fixtures[name].file))
	if err != nil {
		f.Skip(err)
	}
	f.Cleanup(func() { file.Close() })
	s, err := newState(file, false)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// check makes sure of what every user relies on: errors about models are of one type, and send
// nothing to a terminal but text.
func check(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var model *checkpoint.Error
	if !errors.As(err, &model) {
		t.Errorf("%v is no *checkpoint.Error", err)
	}
	for _, r := range err.Error() {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			t.Fatalf("message %q has a control character", err)
		}
	}
}

// use opens every component of what was recognised.
func use(t *testing.T, m *original, s *state) {
	t.Helper()
	folder, err := checkpoint.NewFolder("fuzz", m.files, func(string) (*checkpoint.File, error) { return nil, nil })
	check(t, err)
	if err != nil {
		return
	}
	var config any
	for name := range folder.Components {
		check(t, folder.Config(name, &config))
	}
	tables, err := m.tables()
	check(t, err)
	for component, table := range tables {
		_, err := s.part(component, table)
		check(t, err)
	}
}

// FuzzYAML reads data as the YAML file of a fixture.
func FuzzYAML(f *testing.F) {
	var states []*state
	for i, name := range sortedKeys(fixtures) {
		states = append(states, fixtureState(f, name))
		data, err := os.ReadFile(filepath.Join(goldentest.Root(), name, "config.yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), string(data))
	}
	broken, err := filepath.Glob(filepath.Join(goldentest.Root(), "broken", "yaml", "*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range broken {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(0), string(data))
	}
	f.Fuzz(func(t *testing.T, fixture byte, text string) {
		s := states[int(fixture)%len(states)]
		m := &original{source: source{path: "fuzz", folder: "no such folder"}}
		var err error
		if m.shapes, err = s.shapes(); err != nil {
			t.Fatal(err)
		}
		if m.class, err = s.class(m.shapes); err != nil {
			t.Fatal(err)
		}
		err = m.configure(s, text)
		check(t, err)
		if err == nil && m.settings.lacks == nil {
			use(t, m, s)
		}
	})
}

// FuzzRecognise changes the shapes of a fixture's checkpoint: each line is a name and its new
// dimensions, or a name alone, which is left out.
func FuzzRecognise(f *testing.F) {
	var states []*state
	for range fixtures {
		states = append(states, nil)
	}
	for i, name := range sortedKeys(fixtures) {
		states[i] = fixtureState(f, name)
		f.Add(byte(i), "")
	}
	f.Add(byte(0), "model.diffusion_model.input_blocks.0.0.weight 32 9 3 3\nmodel.diffusion_model.input_blocks.1.1.qkv.weight 95 32 1")
	f.Add(byte(1), "model.diffusion_model.output_blocks.1.1.conv.weight\nmodel_ema.x 1")
	f.Add(byte(2), "first_stage_model.encoder.down.1.block.0.conv1.weight 0\nfirst_stage_model.decoder.conv_in.weight 32 4")
	f.Add(byte(3), "cond_stage_model.transformer.pos_emb.emb.weight 77 32\nbetas 3\nscale_factor 2 2")
	f.Add(byte(4), "cond_stage_model.channel_mapper.weight\ncond_stage_model.model.token_embedding.weight 5 64")
	f.Fuzz(func(t *testing.T, fixture byte, edits string) {
		base := states[int(fixture)%len(states)]
		weights := map[string]*tensor.Weight{}
		for name, w := range base.weights {
			weights[name] = w
		}
		for line := range strings.Lines(edits) {
			fields := strings.Fields(line)
			if len(fields) == 0 {
				continue
			}
			w := &tensor.Weight{Name: fields[0], Shape: tensor.Shape{}}
			for _, field := range fields[1:] {
				n, err := strconv.ParseUint(field, 10, 31)
				if err != nil {
					return
				}
				w.Shape = append(w.Shape, int(n))
			}
			if len(w.Shape) <= 2 && w.Shape.Elements() < 1<<12 {
				w.Data = make([]byte, 4*w.Shape.Elements())
			}
			weights[w.Name] = w
			if len(fields) == 1 {
				delete(weights, w.Name)
			}
		}
		var list []*tensor.Weight
		for _, w := range weights {
			list = append(list, w)
		}
		s, err := newState(fileOf(t, list...), false)
		check(t, err)
		if err != nil {
			return
		}
		m := &original{source: source{path: "fuzz", folder: "no such folder"}}
		err = m.read(s)
		check(t, err)
		if err == nil {
			use(t, m, s)
		}
	})
}

// FuzzEmbedded reads the folder in a file's metadata.
func FuzzEmbedded(f *testing.F) {
	s := fixtureState(f, "compvis-churches")
	f.Add(`{"model_index.json": "{\"_class_name\": \"LDMPipeline\", \"unet\": [\"diffusers\", \"UNet2DModel\"]}", "unet/config.json": "{\"num_attention_heads\": 8}"}`)
	f.Add(`{"model_index.json": "{\"_class_name\": \"LDMPipeline\"}", "unet/config.json": "{\"attention_head_dim\": [4, 0]}"}`)
	f.Fuzz(func(t *testing.T, text string) {
		m := &original{source: source{path: "fuzz", folder: "no such folder"}}
		var err error
		if m.shapes, err = s.shapes(); err != nil {
			t.Fatal(err)
		}
		err = m.readEmbedded(s, text)
		check(t, err)
		if err == nil {
			use(t, m, s)
		}
	})
}
