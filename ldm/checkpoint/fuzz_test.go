package checkpoint_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/goldentest"
)

// seeds adds the fixtures' files that match the patterns.
func seeds(f *testing.F, patterns ...string) {
	for _, pattern := range patterns {
		names, err := filepath.Glob(filepath.Join(goldentest.Root(), pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// check makes sure of what every user of a file relies on.
func check(t *testing.T, file *checkpoint.File, err error) {
	if err != nil {
		var model *checkpoint.Error
		if !errors.As(err, &model) {
			t.Errorf("%v is no *checkpoint.Error", err)
		}
		printable(t, err)
		return
	}
	for _, name := range file.Names() {
		w, ok := file.Weight(name)
		if !ok || w.Name != name || len(w.Data) != w.Shape.Elements()*w.DType.Size() {
			t.Errorf("%q is %+v", name, w)
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	seeds(f, "broken/safetensors/*", "ckpt-formats/expect.safetensors")
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := checkpoint.OpenBytes("fuzz", data)
		check(t, file, err)
		if err != nil || len(data) < 9 || data[8] != '{' {
			return // a PyTorch file may hold names that safetensors refuses
		}
		var sources []checkpoint.Source
		for _, name := range file.Names() {
			w, _ := file.Weight(name)
			sources = append(sources, checkpoint.SourceOf(w))
		}
		var out bytes.Buffer
		if err := checkpoint.WriteSafetensors(&out, sources, file.Metadata()); err != nil {
			t.Fatal(err)
		}
		again, err := checkpoint.OpenBytes("again", out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range file.Names() {
			before, _ := file.Weight(name)
			if after, ok := again.Weight(name); !ok || !after.Shape.Equal(before.Shape) || !bytes.Equal(after.Data, before.Data) {
				t.Errorf("%q came back as %+v, want %+v", name, after, before)
			}
		}
	})
}

// FuzzPickle reads data as a file of any format and as the pickle in an archive of one storage.
func FuzzPickle(f *testing.F) {
	seeds(f, "broken/pickle/*", "ckpt-formats/*")
	names, _ := filepath.Glob(filepath.Join(goldentest.Root(), "*/*.ckpt"))
	more, _ := filepath.Glob(filepath.Join(goldentest.Root(), "broken/pickle/*.ckpt"))
	for _, name := range append(names, more...) {
		if program, err := dataPickle(name); err == nil && len(program) < 1<<16 {
			f.Add(program)
		}
	}
	f.Add([]byte(pickled(transposed)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := checkpoint.OpenBytes("fuzz", data)
		check(t, file, err)
		file, err = checkpoint.OpenBytes("fuzz", torchZip(t, zip.Store, map[string]string{"data.pkl": string(data), "data/0": raw}))
		check(t, file, err)
	})
}

func dataPickle(name string) ([]byte, error) {
	archive, err := zip.OpenReader(name)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	for _, member := range archive.File {
		if strings.HasSuffix(member.Name, "/data.pkl") {
			r, err := member.Open()
			if err != nil {
				return nil, err
			}
			return io.ReadAll(r)
		}
	}
	return nil, fs.ErrNotExist
}

func FuzzIndex(f *testing.F) {
	seeds(f, "broken/folder/*/*.json", "*/model/model_index.json")
	f.Add([]byte(`{"weight_map": {"a": "x", "b": "x"}}`))
	shard := write(f, nil, zeros("a", 1), zeros("b", 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		folder, err := checkpoint.OpenFolderFS("fuzz", fstest.MapFS{"model_index.json": {Data: data}})
		if err == nil && folder.Class == "" {
			t.Error("a pipeline without a class was opened")
		}
		check(t, new(checkpoint.File), err)
		folder, err = checkpoint.OpenFolderFS("fuzz", fstest.MapFS{
			"model_index.json": {Data: []byte(`{"_class_name": "P"}`)}, "unet/x": {Data: shard},
			"unet/diffusion_pytorch_model.safetensors.index.json": {Data: data},
		})
		if err != nil {
			t.Fatal(err)
		}
		file, err := folder.Weights("unet")
		check(t, file, err)
	})
}

func FuzzConfig(f *testing.F) {
	seeds(f, "broken/config/*", "*/model/*/*.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		folder, err := checkpoint.OpenFolderFS("fuzz", fstest.MapFS{
			"model_index.json": {Data: []byte(`{"_class_name": "P"}`)}, "unet/config.json": {Data: data},
		})
		if err != nil {
			t.Fatal(err)
		}
		var c config
		check(t, new(checkpoint.File), folder.Config("unet", &c))
		var got, want any
		err = folder.Config("unet", &got)
		check(t, new(checkpoint.File), err)
		if json.Unmarshal(data, &want) == nil && (err != nil || !reflect.DeepEqual(got, want)) {
			t.Errorf("%q is JSON and was read as %v, %v", data, got, err)
		}
	})
}
