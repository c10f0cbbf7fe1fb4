// Package labels names the classes that the paper's conditional models were trained with: those of
// ImageNet, of COCO-Stuff and of Open Images. The position in a list is the number that the model
// knows the class by.
package labels

import (
	_ "embed" // the lists
	"strings"
	"sync"
)

// List is a vocabulary of classes with numbers from 0.
type List struct {
	what   string     // what a class is called in messages
	names  [][]string // of every class, the usual one first; nil where only numbers are known
	folded [][]string // the same, as fold writes them
	count  int
	exact  map[string][]int // classes by each folded name
}

// Len is the number of classes.
func (l *List) Len() int { return l.count }

// Names are those of class i, the usual one first; none where only numbers are known. The caller
// must not change them.
func (l *List) Names(i int) []string {
	if l.names == nil {
		return nil
	}
	return l.names[i]
}

// Numbered is a vocabulary of count classes without names, for models trained with other data;
// what is the word for a class in messages, such as "class".
func Numbered(what string, count int) *List { return &List{what: what, count: count} }

var (
	//go:embed imagenet.txt
	imageNet string
	//go:embed cocostuff.txt
	cocoStuff string
	//go:embed openimages.txt
	openImages string
)

// ImageNet has the 1,000 classes of ILSVRC 2012 in the order of their WordNet ids, with WordNet's
// synonyms.
var ImageNet = sync.OnceValue(func() *List { return parse("ImageNet class", imageNet) })

// COCOStuff has the 182 things and kinds of stuff of COCO-Stuff by the values of its label maps,
// which are one less than the numbers in its list of labels: there 0 is "unlabeled", in label maps
// 255. The semantic synthesis model has a channel for each of the 182 and none for unlabeled pixels
// (taming-transformers, taming/data/sflckr.py).
var COCOStuff = sync.OnceValue(func() *List { return parse("COCO-Stuff class", cocoStuff) })

// OpenImages has the 340 categories of the layout model: those of Open Images that its authors'
// loader keeps, sorted by their ids, suitcases last. Twelve more names are those of categories that
// the loader merges, as "Man" into "Person". The loader is not published beside the model, but with
// the class and key that the model's config.yaml names in CompVis/retrieval-augmented-diffusion-models
// (rdm/data/openimages.py, openimages_bbox_helpers); CompVis/taming-transformers
// (taming/data/annotated_objects_open_images.py) has the same order.
var OpenImages = sync.OnceValue(func() *List { return parse("Open Images category", openImages) })

// OpenImagesStride is by how much the layout model's token for a category grows with each flag: the
// loader of OpenImages counts the 352 categories before it merges any.
const OpenImagesStride = 352

// parse reads a class a line: names separated by ", ", and after a tab what the class's own data
// set calls it.
func parse(what, text string) *List {
	l := &List{what: what, exact: map[string][]int{}}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		names := strings.Split(line, ", ")
		var folded []string
		for _, name := range names {
			key := fold(name)
			folded = append(folded, key)
			l.exact[key] = append(l.exact[key], l.count)
		}
		l.names, l.folded = append(l.names, names), append(l.folded, folded)
		l.count++
	}
	return l
}

// fold makes spellings equal that differ in case, and in spaces, hyphens and underscores.
func fold(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return r == ' ' || r == '-' || r == '_' || r == '\t'
	}), " ")
}
