package labels

import (
	"image/color"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func lists() map[string]*List {
	return map[string]*List{"ImageNet": ImageNet(), "COCO-Stuff": COCOStuff(), "Open Images": OpenImages()}
}

func TestLists(t *testing.T) {
	counts := map[string]int{"ImageNet": 1000, "COCO-Stuff": 182, "Open Images": 340}
	for name, l := range lists() {
		if l.Len() != counts[name] || len(l.names) != counts[name] {
			t.Errorf("%s has %d classes, want %d", name, l.Len(), counts[name])
		}
		for i := range l.Len() {
			for _, n := range l.Names(i) {
				if n == "" || strings.TrimSpace(n) != n || strings.ContainsAny(n, "\t:+") {
					t.Errorf("%s: class %d has the name %q", name, i, n)
				}
				if _, err := strconv.Atoi(n); err == nil {
					t.Errorf("%s: the name %q of class %d would be read as a number", name, n, i)
				}
			}
		}
	}
}

// The numbers are facts of the data sets: those of ImageNet are in every list of its classes, those
// of COCO-Stuff are values in the label maps beside taming-transformers, where 156 is the sky.
func TestAnchors(t *testing.T) {
	for _, c := range []struct {
		list *List
		text string
		want int
	}{
		{ImageNet(), "tench", 0}, {ImageNet(), "golden retriever", 207}, {ImageNet(), "Golden_Retriever", 207},
		{ImageNet(), "  EGYPTIAN  cat ", 285}, {ImageNet(), "European fire salamander", 25},
		{ImageNet(), "Salamandra salamandra", 25}, {ImageNet(), "fire salamander", 25},
		{ImageNet(), "Yorkshire terrier", 187}, {ImageNet(), "birdhouse", 448}, {ImageNet(), "agaric", 992},
		{ImageNet(), "toilet tissue", 999}, {ImageNet(), "999", 999}, {ImageNet(), "shih tzu", 155},
		{ImageNet(), "ant", 310}, // although it is a part of elephant
		{COCOStuff(), "person", 0}, {COCOStuff(), "tree", 168}, {COCOStuff(), "sky-other", 156},
		{COCOStuff(), "river", 147}, {COCOStuff(), "clouds", 105}, {COCOStuff(), "wood", 181},
		{OpenImages(), "tortoise", 0}, {OpenImages(), "sea turtle", 1}, {OpenImages(), "person", 37},
		{OpenImages(), "woman", 37}, {OpenImages(), "dog", 253}, {OpenImages(), "suitcase", 339},
	} {
		if got, err := c.list.Find(c.text); err != nil || got != c.want {
			t.Errorf("%s %q is %d (%v), want %d", c.list.what, c.text, got, err, c.want)
		}
	}
}

// The layout model numbers categories by the order of their ids, but for the last.
func TestOpenImagesOrder(t *testing.T) {
	var ids []string
	merged := OpenImagesStride
	for line := range strings.Lines(openImages) {
		names, id, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || !strings.HasPrefix(id, "/m/") {
			t.Errorf("line %q has no id", line)
		}
		ids = append(ids, id)
		merged -= len(strings.Split(names, ", "))
	}
	last := len(ids) - 1
	if !slices.IsSorted(ids[:last]) || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) || ids[last] != "/m/01s55n" {
		t.Error("the ids are not sorted, differ not, or suitcases are not last")
	}
	if merged != 0 {
		t.Errorf("the names are %d fewer than the categories before merging", merged)
	}
}

func TestFindErrors(t *testing.T) {
	for _, c := range []struct {
		list *List
		text string
		want []string
	}{
		{ImageNet(), "crane", []string{"134 (crane)", "517 (crane)", "give the number"}},
		{ImageNet(), "terrier", []string{"179 (Staffordshire", "184 (Irish terrier), 16 more:"}},
		{ImageNet(), "golden retreiver", []string{"no ImageNet class", "0 to 999", "similar: 207 (golden retriever)"}},
		{ImageNet(), "unicorn", []string{`"unicorn"`, "0 to 999"}},
		{ImageNet(), "1000", []string{"no ImageNet class 1000", "0 to 999"}},
		{ImageNet(), "-1", []string{"no ImageNet class -1"}},
		{ImageNet(), "99999999999999999999999", []string{"no ImageNet class 999999"}},
		{ImageNet(), " ", []string{"no ImageNet class given"}},
		{ImageNet(), "--", []string{"no ImageNet class is called"}},
		{OpenImages(), "340", []string{"no Open Images category 340", "0 to 339"}},
		{Numbered("class", 10), "dog", []string{`no class is called "dog", want a number from 0 to 9`}},
		{Numbered("class", 10), "10", []string{"no class 10"}},
	} {
		got, err := c.list.Find(c.text)
		if err == nil {
			t.Errorf("%s %q is %d, want an error", c.list.what, c.text, got)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s %q: error %q, want one with %q", c.list.what, c.text, err, want)
			}
		}
	}
	if got, err := Numbered("class", 10).Find("9"); err != nil || got != 9 {
		t.Errorf("class 9 is %d (%v)", got, err)
	}
}

// The first colours are those of the data set's own documentation.
func TestPalette(t *testing.T) {
	p := Palette(256)
	for i, want := range map[int]color.RGBA{
		0: {0, 0, 0, 255}, 1: {128, 0, 0, 255}, 2: {0, 128, 0, 255}, 3: {128, 128, 0, 255}, 4: {0, 0, 128, 255},
		8: {64, 0, 0, 255}, 15: {192, 128, 128, 255}, 20: {0, 64, 128, 255}, 255: {224, 224, 192, 255},
	} {
		if p[i] != want {
			t.Errorf("colour %d is %v, want %v", i, p[i], want)
		}
	}
	seen := map[color.Color]bool{}
	for _, c := range p {
		seen[c] = true
	}
	if len(seen) != len(p) {
		t.Errorf("%d colours for %d classes", len(seen), len(p))
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{"golden retriever", "crane", "207", "-1", "", "\xff", "--_", strings.Repeat("a", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, l := range lists() {
			i, err := l.Find(text)
			if err != nil {
				if len(err.Error()) > 4096 {
					t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
				}
				continue
			}
			if i < 0 || i >= l.Len() {
				t.Errorf("%s: %q is class %d of %d", name, text, i, l.Len())
			}
		}
	})
}
