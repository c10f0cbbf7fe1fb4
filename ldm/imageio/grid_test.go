package imageio

import (
	"image"
	"image/color"
	"testing"
)

func filled(width, height int, c color.Color) image.Image {
	m := image.NewNRGBA(image.Rect(3, 4, 3+width, 4+height)) // an origin that is not 0, 0
	for y := range height {
		for x := range width {
			m.Set(3+x, 4+y, c)
		}
	}
	return m
}

func TestGrid(t *testing.T) {
	black, red, white := color.NRGBA{0, 0, 0, 255}, color.NRGBA{255, 0, 0, 255}, color.NRGBA{255, 255, 255, 255}
	images := []image.Image{filled(4, 3, black), filled(4, 3, red), filled(2, 5, black)}
	for _, c := range []struct {
		columns       int
		width, height int
	}{
		{2, 4 + gap + 4, 5 + gap + 5}, {1, 4, 3*5 + 2*gap}, {0, 4, 3*5 + 2*gap}, {-3, 4, 3*5 + 2*gap}, {3, 3*4 + 2*gap, 5}, {9, 3*4 + 2*gap, 5},
	} {
		if got, want := Grid(images, c.columns).Bounds(), image.Rect(0, 0, c.width, c.height); got != want {
			t.Errorf("%d columns: %v, want %v", c.columns, got, want)
		}
	}
	grid := Grid(images, 2)
	for _, c := range []struct {
		x, y int
		want color.NRGBA
	}{
		{0, 0, black}, {3, 2, black}, {0, 3, white}, {4, 0, white}, {4 + gap, 0, red}, {7 + gap, 2, red},
		{0, 5, white}, {0, 5 + gap, black}, {1, 9 + gap, black}, {2, 5 + gap, white}, {4 + gap, 5 + gap, white},
	} {
		if got := nrgba(grid, c.x, c.y); got != c.want {
			t.Errorf("pixel %d, %d is %v, want %v", c.x, c.y, got, c.want)
		}
	}
	if got := Grid(nil, 3).Bounds(); !got.Empty() {
		t.Errorf("without images the grid is %v, want it empty", got)
	}
}
