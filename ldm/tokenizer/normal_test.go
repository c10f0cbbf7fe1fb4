package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Below its limit of 30 marks the norm package gives the normal forms of every text.
func TestNormalForms(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var runes []rune // those that normalisation can change, and a few others
	for r := rune(0); r <= unicode.MaxRune; r++ {
		p := norm.NFD.PropertiesString(string(r))
		if p.CCC() != 0 || !norm.NFC.IsNormalString(string(r)) || !norm.NFD.IsNormalString(string(r)) && random.IntN(10) == 0 {
			runes = append(runes, r)
		}
	}
	runes = append(runes, []rune("aeiouAEIOU<=>가\u1100\u1161\u11a8\u0bc6\u0bbe")...)
	for range 20000 {
		text := make([]rune, 1+random.IntN(12))
		for i := range text {
			text[i] = runes[random.IntN(len(runes))]
			if random.IntN(3) == 0 {
				text[i] = runes[len(runes)-1-random.IntN(20)]
			}
		}
		if got, want := string(decompose(text)), norm.NFD.String(string(text)); got != want {
			t.Fatalf("form D of %+q = %+q, want %+q", string(text), got, want)
		}
		if got, want := string(compose(text)), norm.NFC.String(string(text)); got != want {
			t.Fatalf("form C of %+q = %+q, want %+q", string(text), got, want)
		}
	}
}

func TestManyMarks(t *testing.T) {
	const n = 1000
	above, below := strings.Repeat("\u0308", n), strings.Repeat("\u0323", n)
	if got := string(decompose([]rune("a" + above + below))); got != "a"+below+above {
		t.Errorf("%d marks above and %d below are not reordered", n, n)
	}
	if got := string(compose([]rune("a" + above + below))); got != "ạ"+below[2:]+above {
		t.Errorf("%d marks above and %d below are not composed", n, n)
	}
	if got := stripAccents([]rune("a" + above + below + "b")); !slices.Equal(got, []rune("ab")) {
		t.Errorf("%d marks leave %+q", 2*n, string(got))
	}
}
