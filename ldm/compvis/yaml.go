package compvis

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxYAML bounds a configuration; published ones have 2 to 10 KB.
const maxYAML = 1 << 20

// yamlTags are what a configuration is made of. Others ask the reader to make objects.
var yamlTags = []string{"!!map", "!!seq", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge"}

// document is a YAML file of plain maps, lists and scalars. The first fault in reading a value out
// of it stays in err, and names the path of the keys to it.
type document struct {
	root *yaml.Node
	err  error
}

// parseYAML reads a document without making any value of it.
func parseYAML(data []byte) (*document, error) {
	if len(data) > maxYAML {
		return nil, fmt.Errorf("%d bytes of YAML, want at most %d", len(data), maxYAML)
	}
	var top yaml.Node
	if err := yaml.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("no YAML: %q", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if top.Kind != yaml.DocumentNode || len(top.Content) != 1 || top.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("no YAML of a configuration: want keys and values")
	}
	return &document{root: top.Content[0]}, checkYAML(top.Content[0], "", 0)
}

// maxDepth is how deep a configuration may nest; published ones have 7 levels.
const maxDepth = 32

// checkYAML refuses what no configuration has and what makes readers expensive or dangerous: names
// for parts and their repetition, which can grow without bound, objects, and keys given twice.
func checkYAML(n *yaml.Node, path string, depth int) error {
	switch {
	case depth > maxDepth:
		return fmt.Errorf("line %d nests deeper than %d levels", n.Line, maxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return fmt.Errorf("%q in line %d is an anchor or an alias, which no configuration needs", path, n.Line)
	case !slices.Contains(yamlTags, n.ShortTag()):
		return fmt.Errorf("%q in line %d has the tag %.80q, want plain values", path, n.Line, n.Tag)
	}
	if n.Kind != yaml.MappingNode {
		for i, item := range n.Content {
			if err := checkYAML(item, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	keys := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		inner := strings.TrimPrefix(path+"."+key.Value, ".")
		if err := checkYAML(key, inner, depth+1); err != nil {
			return err
		}
		if key.Kind != yaml.ScalarNode || keys[key.Value] {
			return fmt.Errorf("%q in line %d occurs twice or is no key", inner, key.Line)
		}
		keys[key.Value] = true
		if err := checkYAML(n.Content[i+1], inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// find returns the value at a path such as "model.params.linear_start"; nil when there is none, or
// null.
func (d *document) find(path string) *yaml.Node {
	n := d.root
	for key := range strings.SplitSeq(path, ".") {
		if n.Kind != yaml.MappingNode {
			return nil
		}
		at := -1
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				at = i + 1
			}
		}
		if at < 0 {
			return nil
		}
		n = n.Content[at]
	}
	if n.ShortTag() == "!!null" {
		return nil
	}
	return n
}

func (d *document) fault(path, format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%s %s", path, fmt.Sprintf(format, args...))
	}
}

// what describes a value for messages.
func what(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%.40q", n.Value)
}

// scalar decodes a scalar; false when there is none or it is none.
func (d *document) scalar(path string, n *yaml.Node, into any, want string) bool {
	if n == nil {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.Decode(into) != nil {
		d.fault(path, "is %s, want %s", what(n), want)
		return false
	}
	return true
}

// text is the string at path, "" when there is none.
func (d *document) text(path string) string {
	var s string
	d.scalar(path, d.find(path), &s, "a text")
	return s
}

// boolean is the truth value at path, false when there is none.
func (d *document) boolean(path string) bool {
	var b bool
	d.scalar(path, d.find(path), &b, "true or false")
	return b
}

// integer is the number at path, absent when there is none.
func (d *document) integer(path string, absent, low, high int) int {
	return d.integerOf(path, d.find(path), absent, low, high)
}

func (d *document) integerOf(path string, n *yaml.Node, absent, low, high int) int {
	want := fmt.Sprintf("an integer from %d to %d", low, high)
	var value any // the library would cut a fraction off
	if !d.scalar(path, n, &value, want) {
		return absent
	}
	i, ok := value.(int)
	switch {
	case !ok:
		d.fault(path, "is %s, want %s", what(n), want)
		return absent
	case i < low || i > high:
		d.fault(path, "is %d, want %s", i, want)
		return absent
	}
	return i
}

// number is the number at path, absent when there is none.
func (d *document) number(path string, absent, low, high float64) float64 {
	n := d.find(path)
	want := fmt.Sprintf("a number from %g to %g", low, high)
	var f float64
	if !d.scalar(path, n, &f, want) {
		return absent
	}
	if !(f >= low && f <= high) || math.IsInf(f, 0) {
		d.fault(path, "is %s, want %s", what(n), want)
		return absent
	}
	return f
}

// integers is the list of numbers at path, nil when there is none.
func (d *document) integers(path string, low, high int) []int {
	n := d.find(path)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		d.fault(path, "is %s, want a list of integers", what(n))
		return nil
	}
	list := make([]int, len(n.Content))
	for i, item := range n.Content {
		list[i] = d.integerOf(fmt.Sprintf("%s[%d]", path, i), item, 0, low, high)
	}
	return list
}
