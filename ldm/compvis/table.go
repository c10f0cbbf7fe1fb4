package compvis

import (
	"fmt"
	"slices"
	"strings"

	"ldm-mac/ldm/tensor"
)

// table says under which names the weights of one component lie in an original checkpoint and in a
// diffusers folder. It is read in both directions: each name of the folder has one original, and
// each original has one name, or three where the original holds queries, keys and values together.
type table struct {
	pairs      []pair
	byOriginal map[string][]int // indexes of pairs
	byName     map[string]int
	unused     string // prefix of originals that a folder does without; "" for none
}

// pair is a weight by both its names.
type pair struct {
	original string // "model.diffusion_model.input_blocks.0.0.weight"
	name     string // "conv_in.weight"
	form     form
}

// form says how the two differ beside their names.
type form struct {
	// ones is how many trailing dimensions of 1 the original has and the folder's weight has not:
	// it is a convolution, the other the linear layer that it amounts to.
	ones int

	// Heads is not 0 where the original holds queries, keys and values, and part says which of them,
	// 0, 1 or 2, the folder's weight is. The rows of the original are [heads, 3, rows of a head].
	part, heads int
}

// add pairs a weight.
func (t *table) add(original, name string, f form) {
	if t.byName == nil {
		t.byName, t.byOriginal = map[string]int{}, map[string][]int{}
	}
	i := len(t.pairs)
	t.pairs = append(t.pairs, pair{original, name, f})
	t.byName[name] = i
	t.byOriginal[original] = append(t.byOriginal[original], i)
}

// layer pairs weight and bias of a layer. A layer without a bias has no such names in any file.
func (t *table) layer(original, name string, f form) {
	t.add(original+".weight", name+".weight", f)
	bias := f
	bias.ones = 0
	t.add(original+".bias", name+".bias", bias)
}

// layers pairs several layers in one module: original and other names in turn.
func (t *table) layers(original, name string, inside ...string) {
	for i := 0; i < len(inside); i += 2 {
		t.layer(original+"."+inside[i], name+"."+inside[i+1], form{})
	}
}

// names gives the folder's weights that lie in an original one. Nil when the table lacks it.
func (t *table) names(w *tensor.Weight) ([]*tensor.Weight, error) {
	var out []*tensor.Weight
	for _, i := range t.byOriginal[w.Name] {
		p := t.pairs[i]
		c, err := p.form.take(w)
		if err != nil {
			return nil, err
		}
		c.Name = p.name
		out = append(out, c)
	}
	return out, nil
}

// passed reports whether the folder does without an original weight.
func (t *table) passed(original string) bool {
	return t.unused != "" && strings.HasPrefix(original, t.unused)
}

// take is the folder's weight in an original one, without its name. The data are parts of w's where
// the rows follow each other, and a copy otherwise.
func (f form) take(w *tensor.Weight) (*tensor.Weight, error) {
	c := *w
	for n := f.ones; n > 0 && len(c.Shape) > 1 && c.Shape[len(c.Shape)-1] == 1; n-- {
		c.Shape = c.Shape[:len(c.Shape)-1]
	}
	if f.heads == 0 {
		return &c, nil
	}
	if len(c.Shape) == 0 || c.Shape[0]%(3*f.heads) != 0 {
		return nil, fmt.Errorf("%q is %s, which does not hold queries, keys and values of %d heads", w.Name, w.Shape, f.heads)
	}
	c.Shape = slices.Clone(c.Shape)
	c.Shape[0] /= 3
	size := len(w.Data) / (3 * f.heads) // of a head's queries, in bytes
	if f.heads == 1 {
		c.Data = w.Data[f.part*size : (f.part+1)*size : (f.part+1)*size]
		return &c, nil
	}
	joined := tensor.Weight{Shape: c.Shape, DType: c.DType, Data: make([]byte, 0, size*f.heads)}
	for head := range f.heads {
		at := (3*head + f.part) * size
		joined.Data = append(joined.Data, w.Data[at:at+size]...)
	}
	return &joined, nil
}

// shape is that of the original weight of which a folder's weight has the given one.
func (f form) shape(s tensor.Shape) tensor.Shape {
	s = slices.Clone(s)
	for f.ones > 0 && len(s) > 2 && s[len(s)-1] == 1 {
		s = s[:len(s)-1] // older folders hold the convolution too
	}
	for range f.ones {
		s = append(s, 1)
	}
	if f.heads > 0 && len(s) > 0 {
		s[0] *= 3
	}
	return s
}
