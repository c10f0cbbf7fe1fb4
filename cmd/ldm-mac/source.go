package main

import (
	"fmt"
	"image"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/imageio"
)

// recipeFile is a file that a picture was made of.
type recipeFile struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

// verify computes the file's hash, and compares it with the one that is recorded. flag tells where
// the file is now.
func (f *recipeFile) verify(flag string) error {
	sum, err := fileHash(f.File)
	if err != nil {
		return inputError(fmt.Errorf("%w; --%s tells where the file is", err, flag))
	}
	if f.SHA256 != "" && f.SHA256 != sum {
		return inputError(fmt.Errorf("%s has changed since the picture was made of it: its SHA-256 is %s, want %s", f.File, sum, f.SHA256))
	}
	f.SHA256 = sum
	return nil
}

// source is the picture to begin with, and what of it to fill.
type source struct {
	input *imageio.Input
	mask  *imageio.Mask // of input's size; nil for none
}

func imageFlag() cli.Flag {
	return &cli.StringFlag{Name: "init-image", Aliases: []string{"i", "image"}, Category: "Image", Usage: "`FILE` picture to begin with"}
}

func strengthFlag(value float64, usage string) cli.Flag {
	return &cli.Float64Flag{Name: "strength", Category: "Image", Value: value, Usage: usage}
}

// maskFlags say what of a picture to fill.
func maskFlags() []cli.Flag {
	const group = "Image"
	return []cli.Flag{
		&cli.StringFlag{Name: "mask", Category: group, Usage: "`FILE` picture of the same size: white is filled, black is kept"},
		&cli.BoolFlag{Name: "invert-mask", Category: group, Usage: "fill what is black, keep what is white"},
		&cli.Float64Flag{Name: "mask-blur", Category: group, Usage: "`PIXELS` over which kept and filled pixels pass into each other"},
		&cli.BoolFlag{Name: "keep-unmasked", Category: group, Value: true, Usage: "put back the very pixels that are to be kept; --keep-unmasked=false leaves them as the model draws them"},
	}
}

// readSource reads the picture and the mask of img2img and inpaint.
func (s *settings) readSource() error {
	c, r := s.flags, &s.recipe
	if flagNamed(c.Command.Flags, "init-image") == nil {
		if r.Image != nil {
			return usagef("the picture was made of another: use ldm-mac %s --from", r.command())
		}
		return nil
	}
	masks := flagNamed(c.Command.Flags, "mask") != nil
	if c.IsSet("init-image") {
		r.Image = &recipeFile{File: c.String("init-image")}
	}
	if masks && c.IsSet("mask") {
		r.Mask = &recipeFile{File: c.String("mask")}
	}
	switch {
	case r.Image == nil:
		return usagef("no --init-image; see %s --help", c.Command.HelpName)
	case masks && r.Mask == nil:
		return usagef("no --mask, which says what of %s to fill; see %s --help", r.Image.File, c.Command.HelpName)
	case !masks && r.Mask != nil:
		return usagef("the picture was made with a mask: use ldm-mac inpaint --from")
	}
	if c.IsSet("strength") || r.Strength == 0 {
		r.Strength = c.Float64("strength")
	}
	if err := r.Image.verify("init-image"); err != nil {
		return err
	}
	input, err := imageio.ReadFile(r.Image.File)
	if err != nil {
		return inputError(err)
	}
	s.source = &source{input: input}
	if masks {
		return s.readMask()
	}
	return nil
}

func (s *settings) readMask() error {
	c, r := s.flags, &s.recipe
	for name, value := range map[string]*bool{"invert-mask": &r.InvertMask, "keep-unmasked": &r.KeepUnmasked} {
		if c.IsSet(name) || s.origin == nil {
			*value = c.Bool(name)
		}
	}
	if c.IsSet("mask-blur") {
		r.MaskBlur = c.Float64("mask-blur")
	}
	if !(r.MaskBlur >= 0 && r.MaskBlur <= 256) {
		return usagef("--mask-blur %g, want 0 to 256 pixels", r.MaskBlur)
	}
	if err := r.Mask.verify("mask"); err != nil {
		return err
	}
	input, err := imageio.ReadFile(r.Mask.File)
	if err != nil {
		return inputError(err)
	}
	size := s.source.input.Image.Bounds().Size()
	mask, err := imageio.NewMask(input.Image).Fitted(size.X, size.Y)
	if err != nil {
		return inputError(fmt.Errorf("%s: %w", r.Mask.File, err))
	}
	if r.InvertMask {
		mask = mask.Inverted()
	}
	if mask.Empty() {
		s.report.warn("nothing of " + r.Image.File + " is to be filled: the mask " + r.Mask.File + " is black")
	}
	s.source.mask, err = mask.Binary().Blurred(r.MaskBlur)
	return err
}

// resize fits picture and mask to a size in pixels.
func (f *source) resize(width, height int) (err error) {
	if f.input.Image, err = imageio.Resize(f.input.Image, width, height, imageio.Lanczos); err != nil {
		return err
	}
	if f.mask != nil {
		f.mask, err = f.mask.Resized(width, height, imageio.Lanczos)
	}
	return err
}

// extend repeats the last column and row of a picture up to a size in pixels.
func extend(m *image.NRGBA, width, height int) *image.NRGBA {
	size := m.Bounds().Size()
	if size.X == width && size.Y == height {
		return m
	}
	out := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			out.SetNRGBA(x, y, m.NRGBAAt(min(x, size.X-1), min(y, size.Y-1)))
		}
	}
	return out
}

// extendMask does the same with a mask.
func extendMask(m *imageio.Mask, width, height int) *imageio.Mask {
	out := &imageio.Mask{Width: width, Height: height, Level: make([]uint8, 0, width*height)}
	for y := range height {
		for x := range width {
			out.Level = append(out.Level, m.Level[min(y, m.Height-1)*m.Width+min(x, m.Width-1)])
		}
	}
	return out
}
