package imageio

import (
	"image"
	"image/color"
	"image/draw"
)

// gap between the pictures of a grid, in pixels: the padding of torchvision.utils.make_grid, with
// which CompVis' scripts lay out theirs.
const gap = 2

// Grid lays out images row by row, columns to a row, on white with a small gap between them. Cells
// are as wide and as high as the largest image; fewer than one column counts as one. Without images
// the result is empty, 0x0.
func Grid(images []image.Image, columns int) image.Image {
	columns = min(max(columns, 1), len(images))
	if columns == 0 {
		return image.NewNRGBA(image.Rectangle{})
	}
	var cell image.Point
	for _, m := range images {
		cell.X = max(cell.X, m.Bounds().Dx())
		cell.Y = max(cell.Y, m.Bounds().Dy())
	}
	step := cell.Add(image.Pt(gap, gap))
	rows := (len(images) + columns - 1) / columns
	grid := image.NewNRGBA(image.Rect(0, 0, columns*step.X-gap, rows*step.Y-gap))
	draw.Draw(grid, grid.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	for i, m := range images {
		at := image.Pt(i%columns*step.X, i/columns*step.Y)
		draw.Draw(grid, image.Rectangle{Min: at, Max: at.Add(m.Bounds().Size())}, m, m.Bounds().Min, draw.Over)
	}
	return grid
}
