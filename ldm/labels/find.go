package labels

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxListed is how many classes an error names.
const maxListed = 8

// Find is the class that text means: its number, one of its names, or a part of a name that no
// other class has. Case does not count, and hyphens and underscores are spaces. The error for a
// text that means none or several names the classes that come into question.
func (l *List) Find(text string) (int, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, fmt.Errorf("labels: no %s given, want %s", l.what, l.wanted())
	}
	if n, err := strconv.Atoi(text); err == nil || errors.Is(err, strconv.ErrRange) {
		if err != nil || n < 0 || n >= l.count {
			return 0, fmt.Errorf("labels: there is no %s %.40s, want %s", l.what, text, l.wanted())
		}
		return n, nil
	}
	key := fold(text)
	found := slices.Compact(slices.Clone(l.exact[key]))
	if len(found) == 0 && key != "" {
		found = l.containing(key)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fmt.Errorf("labels: %.40q may be any of %s: give the number or more of the name", text, l.list(found))
	}
	err := fmt.Errorf("labels: no %s is called %.40q, want %s", l.what, text, l.wanted())
	if near := l.near(key); len(near) > 0 {
		err = fmt.Errorf("%w; similar: %s", err, l.list(near))
	}
	return 0, err
}

func (l *List) wanted() string {
	if l.names == nil {
		return fmt.Sprintf("a number from 0 to %d", l.count-1)
	}
	return fmt.Sprintf("a name or a number from 0 to %d", l.count-1)
}

// containing are the classes with a name that key is a part of.
func (l *List) containing(key string) (found []int) {
	for i, names := range l.folded {
		if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, key) }) {
			found = append(found, i)
		}
	}
	return found
}

// list writes classes for messages: "134 (crane), 517 (crane)".
func (l *List) list(classes []int) string {
	var parts []string
	for _, i := range classes[:min(len(classes), maxListed)] {
		parts = append(parts, fmt.Sprintf("%d (%s)", i, strings.Join(l.names[i], ", ")))
	}
	if more := len(classes) - maxListed; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, ", ")
}

// near are at most three classes with names that differ from key in few letters, the nearest
// first.
func (l *List) near(key string) []int {
	const longest = 40 // of a text that is a name with a slip, not a sentence
	if len(key) > longest {
		return nil
	}
	type candidate struct{ class, distance int }
	var all []candidate
	most := max(1, len(key)/4)
	for i, names := range l.folded {
		best := candidate{i, most + 1}
		for _, name := range names {
			if d := len(name) - len(key); d <= most && -d <= most { // the least distance
				best.distance = min(best.distance, distance(key, name))
			}
		}
		if best.distance <= most {
			all = append(all, best)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var classes []int
	for _, c := range all[:min(len(all), 3)] {
		classes = append(classes, c.class)
	}
	return classes
}

// distance counts the bytes to insert, delete or replace to turn a into b (Levenshtein 1966).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
