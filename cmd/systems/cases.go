//go:build unix

package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"ldm-mac/ldm/arch"
	"ldm-mac/ldm/pipeline"
)

// drawing is something that a system draws.
type drawing struct {
	size string   // as the table has it
	args []string // of the program
}

// drawingsOf are what a system is measured with: pictures of the size that it was trained with, and
// where it is used for much larger ones, such a picture.
func drawingsOf(name string) ([]drawing, error) {
	networks, err := arch.Find(name)
	if err != nil {
		return nil, err
	}
	class := arch.Class(name)
	task, _ := pipeline.TaskOf(class)
	factor := networks.FirstStage.Factor()
	side := networks.UNet.SampleSize * factor
	var args []string
	if strings.HasPrefix(class, "StableDiffusion") || task == pipeline.TextToImage {
		args = []string{"--prompt", "a painting of a squirrel eating a burger"}
	}
	of := func(side int, command string, more ...string) drawing {
		return drawing{square(side), append(append([]string{command}, args...), more...)}
	}
	enlarge := func(side int) drawing {
		d := of(side, "upscale", picture(side))
		d.size += " to " + square(side*factor)
		return d
	}
	switch {
	case strings.Contains(class, "Inpaint"):
		const side = 512 // CompVis' examples; both U-Nets were trained on a crop of that or less
		return []drawing{of(side, "inpaint", "--init-image", picture(side), "--mask", maskFile)}, nil
	case name == "bsr_sr":
		return []drawing{enlarge(side / factor), enlarge(largest)}, nil
	case task == pipeline.SuperResolution:
		return []drawing{enlarge(side / factor)}, nil
	case task == pipeline.ClassToImage:
		return []drawing{of(side, "run", "--class", "187")}, nil
	case task == pipeline.LayoutToImage:
		return []drawing{of(side, "run", "--box", "Person:0.1,0.2,0.5,0.9", "--box", "Dog:0.5,0.5,0.9,0.9")}, nil
	case task == pipeline.SemanticSynthesis:
		return []drawing{of(side, "run", "--segmentation", labelFile(side))}, nil
	}
	return []drawing{of(side, "run")}, nil
}

func square(side int) string { return fmt.Sprintf("%d x %d", side, side) }

// largest is the side of the largest picture to begin with, in pixels.
const largest = 512

// The files that writePictures makes.
const maskFile = "mask.png"

func picture(side int) string   { return fmt.Sprintf("picture-%d.png", side) }
func labelFile(side int) string { return fmt.Sprintf("labels-%d.png", side) }

// writePictures makes what drawings begin with: pictures of two gradients, a mask with a hole in the
// middle, and label maps with two classes.
func writePictures(dir string) error {
	files := map[string]image.Image{maskFile: paint(largest, func(x, y int) uint8 {
		if min(x, y, largest-1-x, largest-1-y) < largest/4 {
			return 0
		}
		return 255
	})}
	for side := 64; side <= largest; side *= 2 {
		m := image.NewRGBA(image.Rect(0, 0, side, side))
		for y := range side {
			for x := range side {
				m.SetRGBA(x, y, color.RGBA{uint8(255 * x / side), uint8(255 * y / side), 128, 255})
			}
		}
		files[picture(side)] = m
		files[labelFile(side)] = paint(side, func(_, y int) uint8 { return uint8(2 * y / side) })
	}
	for name, m := range files {
		if err := writePicture(filepath.Join(dir, name), m); err != nil {
			return err
		}
	}
	return nil
}

// paint is a grey picture.
func paint(side int, level func(x, y int) uint8) image.Image {
	m := image.NewGray(image.Rect(0, 0, side, side))
	for i := range m.Pix {
		m.Pix[i] = level(i%side, i/side)
	}
	return m
}

func writePicture(path string, m image.Image) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := png.Encode(file, m); err != nil {
		return err
	}
	return file.Close()
}
