package checkpoint_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// torchZip is an archive as torch.save writes it. The members are stored, or deflated.
func torchZip(t testing.TB, method uint16, members map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for name, content := range members {
		w, err := archive.CreateHeader(&zip.FileHeader{Name: "root/" + name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// pickled joins opcodes to a dict of one entry: the text a, then what the opcodes push.
func pickled(opcodes ...string) string { return "}" + text("a") + strings.Join(opcodes, "") + "s." }

func text(s string) string { return fmt.Sprintf("U%c%s", len(s), s) }

func ints(n ...int) string {
	s := "("
	for _, n := range n {
		s += fmt.Sprintf("I%d\n", n)
	}
	return s + "t"
}

// storageOf is the reference to the storage called 0.
func storageOf(class string, count int, more string) string {
	return "(" + text("storage") + "ctorch\n" + class + "\n" + text("0") + text("cpu") + fmt.Sprintf("I%d\n", count) + more + "tQ"
}

func tensorOf(storage string, offset int, size, stride string) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + fmt.Sprintf("I%d\n", offset) + size + stride + "I00\n}tR"
}

var (
	elements   = []float32{0, 1, 2, 3, 4, 5}
	raw        = string(tensor.EncodeFloats(nil, elements, tensor.F32))
	transposed = tensorOf(storageOf("FloatStorage", 6, ""), 0, ints(3, 2), ints(1, 3))
)

func TestPickle(t *testing.T) {
	whole := storageOf("FloatStorage", 6, "")
	for _, c := range []struct {
		what, program string
		want          []float32
		shape         tensor.Shape
	}{
		{"in order", tensorOf(whole, 0, ints(2, 3), ints(3, 1)), elements, tensor.Shape{2, 3}},
		{"a row", tensorOf(whole, 3, ints(3), ints(1)), elements[3:], tensor.Shape{3}},
		{"a scalar", tensorOf(whole, 5, ints(), ints()), elements[5:], tensor.Shape{}},
		{"transposed", transposed, []float32{0, 3, 1, 4, 2, 5}, tensor.Shape{3, 2}},
		{"every other", tensorOf(whole, 1, ints(3), ints(2)), []float32{1, 3, 5}, tensor.Shape{3}},
		{"expanded", tensorOf(whole, 1, ints(2, 2), ints(0, 1)), []float32{1, 2, 1, 2}, tensor.Shape{2, 2}},
		{"three axes", tensorOf(whole, 0, ints(2, 1, 3), ints(1, 9, 2)), []float32{0, 2, 4, 1, 3, 5}, tensor.Shape{2, 1, 3}},
		{"nothing", tensorOf(whole, 0, ints(0, 1<<40), ints(1, 1)), []float32{}, tensor.Shape{0, 1 << 40}},
		{"a parameter", "ctorch._utils\n_rebuild_parameter\n(" + transposed + "I01\n}tR", []float32{0, 3, 1, 4, 2, 5}, tensor.Shape{3, 2}},
	} {
		for _, method := range []uint16{zip.Store, zip.Deflate} {
			file, err := checkpoint.OpenBytes(c.what, torchZip(t, method, map[string]string{"data.pkl": pickled(c.program), "data/0": raw}))
			if err != nil {
				t.Error(err)
				continue
			}
			w, ok := file.Weight("a")
			if !ok || !w.Shape.Equal(c.shape) || w.DType != tensor.F32 {
				t.Errorf("%s: %+v, want shape %s", c.what, w, c.shape)
				continue
			}
			if got, err := w.Floats(nil); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, %v, want %v", c.what, got, err, c.want)
			}
		}
	}
}

func TestPickleInPlace(t *testing.T) {
	program := pickled(tensorOf(storageOf("FloatStorage", 6, ""), 0, ints(6), ints(1)))
	data := torchZip(t, zip.Store, map[string]string{"data.pkl": program, "data/0": raw})
	file, err := checkpoint.OpenBytes("memory", data)
	if err != nil {
		t.Fatal(err)
	}
	w, _ := file.Weight("a")
	if at := bytes.Index(data, w.Data); at < 0 || &data[at] != &w.Data[0] {
		t.Error("a stored tensor was copied")
	}
}

func TestPickleState(t *testing.T) {
	state := func(entries string) string { return "}(" + text("a") + transposed + entries + "u." }
	for program, want := range map[string]string{ // errors, or else what Foreign says
		state(text("n") + "N" + text("i") + "I7\n" + text("s") + text("text")): "[]",
		state(text("np") + "cnumpy.core.multiarray\nscalar\n)R"):               "[]",
		state(text("np") + "cnumpy.core.multiarray\n_reconstruct\n)R"):         `"np" is an object of "numpy.ndarray"`,
		state(text("l") + "]"):               `"l" is a list`,
		state(text("c") + "cos\nsystem\n"):   `"c" is the class "os.system"`,
		state(text("o") + "cos\nsystem\n)R"): `"o" is an object of "os.system"`,
		state("I1\nN"):                       "the int 1 for a name",
		state("U\x01\xffN"):                  "UTF-8",
		"}(" + text("state_dict") + state("")[:len(state(""))-1] + text("x") + "cos\nsystem\n)R" + "cb\nC\n)RNu.": "[b.C os.system]",
		"ccollections\nOrderedDict\n(](" + "](" + text("a") + transposed + "eetR.":                                "[]",
		"ca\nB\n)R.": `holds an object of "a.B"`,
		"N.":         "holds None",
		"}.":         "neither a state_dict nor tensors",
	} {
		file, err := checkpoint.OpenBytes("memory", torchZip(t, zip.Store, map[string]string{"data.pkl": program, "data/0": raw}))
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprint(file.Foreign())
			if names := file.Names(); !slices.Equal(names, []string{"a"}) {
				t.Errorf("%q holds %q", program, names)
			}
		}
		if err == nil && got != want || err != nil && (strings.HasPrefix(want, "[") || !strings.Contains(got, want)) {
			t.Errorf("%q: %s, want %s", program, got, want)
		}
	}
}

func TestPickleMalformed(t *testing.T) {
	for program, want := range map[string]string{
		"(N.":                                   "", // a mark that nothing takes is harmless; None is no state dict
		"(.":                                    "empty stack",
		"N(0.":                                  "empty stack",
		"t.":                                    "no mark",
		"}Ns.":                                  "empty stack",
		"}(Nu.":                                 "key without a value",
		"q\x00.":                                "empty stack",
		"Nh\x05.":                               "memo 5",
		"IX\n.":                                 "want an integer",
		"I" + strings.Repeat("1", 2000) + "\n.": "line without an end",
		"\x8a\x09123456789.":                    "holds an int beyond 64 bits",
		"NNR.":                                  "want a tuple",
		"NN\x93.":                               "want strings",
		"NQ.":                                   "want a storage",
		"(" + text("storage") + "NNNNtQ.":       "None for a class",
		storageOf("FloatStorage", 6, ints(1)) + ".":   "for a view",
		"ctorch\nSize\n)R.":                           "without arguments",
		"ctorch._utils\n_rebuild_tensor_v2\n)R.":      "of 0 arguments",
		"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR.": "None where its storage",
		"(o.":                                  "no class",
		"ccollections\nOrderedDict\n(]]NaatR.": "want pairs",
		"P0\n.":                                "opcode 0x50",
		"":                                     "wants 1 bytes",
	} {
		_, err := checkpoint.OpenBytes("memory", torchZip(t, zip.Store, map[string]string{"data.pkl": program}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", program, err, want)
		}
	}
}

// bomb is a tuple of the one before it twice, 64 deep: 2^64 leaves for who walks it.
var bomb = ")" + strings.Repeat("2\x86", 64)

func TestPickleBomb(t *testing.T) {
	whole := storageOf("FloatStorage", 6, "")
	for _, program := range []string{
		pickled(bomb), pickled(tensorOf(whole, 0, "("+bomb+"t", ints(1))), pickled(tensorOf(bomb, 0, ints(1), ints(1))),
		pickled(tensorOf(storageOf("FloatStorage", 6, bomb), 0, ints(1), ints(1))), bomb + "Q.", bomb + ")R.",
		"}" + bomb + "Ns.", bomb + ".", "}" + text("state_dict") + bomb + "s.", bomb + bomb + "\x93.",
	} {
		if _, err := checkpoint.OpenBytes("memory", torchZip(t, zip.Store, map[string]string{"data.pkl": program, "data/0": raw})); err == nil {
			t.Errorf("%q was read", program)
		}
	}
	for _, program := range []string{"I1001\n." + bomb + ".N.N.", bomb + ".N.N.N.", "I1001\n.}" + text("little_endian") + bomb + "s.N.N."} {
		if _, err := checkpoint.OpenBytes("memory", []byte("L119547037146038801333356L\n."+program)); err == nil {
			t.Errorf("%q was read", program)
		}
	}
}

func TestTorchZip(t *testing.T) {
	program := pickled(transposed)
	sound := map[string]string{"data.pkl": program, "data/0": raw}
	with := func(name, content string) map[string]string {
		m := map[string]string{name: content}
		for name, content := range sound {
			if _, ok := m[name]; !ok {
				m[name] = content
			}
		}
		return m
	}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{torchZip(t, zip.Store, with("byteorder", "big")), `byte order "big"`},
		{torchZip(t, zip.Store, with("sub/data.pkl", program)), "2 data.pkl"},
		{torchZip(t, zip.Store, map[string]string{"model.ckpt": "x"}), `"root/model.ckpt"`},
		{torchZip(t, zip.Deflate, with("data/0", strings.Repeat("\x00", 64<<20))), "more than the file's size allows"},
		{bytes.Replace(torchZip(t, zip.Store, sound), []byte("FloatStorage"), []byte("FloatStoraga"), 1), "checksum"},
		{torchZip(t, zip.Store, sound)[:200], "cut off"},
	} {
		if _, err := checkpoint.OpenBytes("memory", c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want an error with %q", err, c.want)
		}
	}
}

// legacy is a file as torch.save wrote it before PyTorch 1.6, in protocol 1.
func legacy(machine, program, keys, storages string) []byte {
	return []byte("L119547037146038801333356L\n.I1001\n.}" + text("little_endian") + machine + "s." + program + keys + "." + storages)
}

func TestTorchLegacy(t *testing.T) {
	count := string(binary.LittleEndian.AppendUint64(nil, 6))
	keys := "]" + text("0") + "a"
	view := "(" + text("view") + "I2\nI4\nt"
	viewed := pickled(tensorOf(storageOf("FloatStorage", 6, view), 1, ints(3), ints(1)))
	for _, c := range []struct {
		data []byte
		want string // the tensor, or an error
	}{
		{legacy("I01\n", pickled(transposed), keys, count+raw), "[0 3 1 4 2 5]"},
		{legacy("I01\n", viewed, keys, count+raw), "[3 4 5]"},
		{legacy("I00\n", pickled(transposed), keys, count+raw), "not little-endian"},
		{legacy("I01\n", pickled(transposed), keys, count+raw[1:]), "ends after 23 bytes"},
		{legacy("I01\n", pickled(transposed), keys, "\xff\xff\xff\xff\xff\xff\xff\xff"+raw), "ends after 24 bytes"},
		{legacy("I01\n", pickled(transposed), "]", ""), `storage "0" is not in the file`},
		{legacy("I01\n", pickled(transposed), "]"+text("7")+"a", count+raw), `storage "7" is of type ""`},
		{legacy("I01\n", pickled(transposed), "]Na", count+raw), "called by None"},
		{legacy("I01\n", pickled(transposed), "N", count+raw), "None for its storages"},
		{[]byte("L119547037146038801333356L\n.I1000\n.N.N.N."), "the int 1000 for its version"},
		{[]byte("L119547037146038801333356L\n.I1001\n.N.N.N."), "None for its machine"},
	} {
		file, err := checkpoint.OpenBytes("memory", c.data)
		got := fmt.Sprint(err)
		if err == nil {
			w, _ := file.Weight("a")
			values, err := w.Floats(nil)
			got = fmt.Sprint(values)
			if err != nil {
				t.Error(err)
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
