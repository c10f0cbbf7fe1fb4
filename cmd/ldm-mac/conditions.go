package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/labels"
	"ldm-mac/ldm/pipeline"
)

// conditionFlags say what to draw to models that read no prompts.
func conditionFlags() []cli.Flag {
	const group = "Other conditions"
	return []cli.Flag{
		&cli.StringFlag{Name: "class", Category: group, Usage: "`NAME` or number of an ImageNet class, of models that draw classes"},
		&cli.StringSliceFlag{Name: "box", Category: group,
			Usage: "`NAME:X0,Y0,X1,Y1` an object and where it is, from 0 to 1, of models that draw layouts; may be repeated"},
		&cli.StringFlag{Name: "segmentation", Category: group,
			Usage: "`FILE` picture of the class of each pixel, of models that draw label maps; ldm-mac labels explains it"},
	}
}

// readCondition reads what is to be drawn, by the flags that the model's task knows.
func (s *settings) readCondition() error {
	task, ok := pipeline.TaskOf(s.folder.Class)
	if !ok {
		return nil // loading says so
	}
	c, r := s.flags, &s.recipe
	for name, of := range map[string]pipeline.Task{
		"class": pipeline.ClassToImage, "box": pipeline.LayoutToImage, "segmentation": pipeline.SemanticSynthesis,
	} {
		if c.IsSet(name) && task != of {
			return usagef("--%s is for models of the kind %q, not %q", name, of, task)
		}
	}
	switch task {
	case pipeline.TextToImage:
		return s.readPrompts()
	case pipeline.ClassToImage:
		if c.IsSet("class") {
			r.Class = c.String("class")
		}
		if r.Class == "" {
			return usagef("no --class, which this model draws; see %s --help", c.Command.HelpName)
		}
	case pipeline.LayoutToImage:
		if c.IsSet("box") {
			r.Boxes = c.StringSlice("box")
		}
		if len(r.Boxes) == 0 {
			return usagef("no --box, of which this model draws some; see %s --help", c.Command.HelpName)
		}
	case pipeline.SemanticSynthesis:
		if c.IsSet("segmentation") {
			r.Segmentation = &recipeFile{File: c.String("segmentation")}
		}
		if r.Segmentation == nil {
			return usagef("no --segmentation, which this model draws; see %s --help", c.Command.HelpName)
		}
	}
	if c.IsSet("prompt") || c.IsSet("prompt-file") || c.IsSet("negative-prompt") || c.NArg() > 0 {
		return usagef("a prompt, but this model reads none: it is of the kind %q", task)
	}
	return nil
}

func (s *settings) readPrompts() error {
	prompt, given, err := readPrompt(s.flags, s.origin == nil)
	switch {
	case err != nil:
		return err
	case given:
		s.recipe.Prompt = prompt
	case s.origin == nil:
		return usagef("no prompt; see %s --help", s.flags.Command.HelpName)
	}
	if s.flags.IsSet("negative-prompt") {
		s.recipe.NegativePrompt = s.flags.String("negative-prompt")
	}
	return nil
}

// title is what names of files are made of.
func (r *recipe) title() string {
	switch {
	case r.Prompt != "":
		return r.Prompt
	case r.Class != "":
		return r.Class
	case len(r.Boxes) > 0:
		return strings.Join(r.Boxes, " ")
	}
	return ""
}

// settleCondition reads classes by the names that the model's kind has.
func (s *settings) settleCondition(m *model, request *pipeline.Request) (err error) {
	r := &s.recipe
	switch m.Task() {
	case pipeline.ClassToImage:
		if request.Class, err = classNames(m.Classes()).Find(r.Class); err != nil {
			return usagef("--class: %w", err)
		}
	case pipeline.LayoutToImage:
		for _, text := range r.Boxes {
			box, err := cond.ParseBox(text, labels.OpenImages().Find)
			if err != nil {
				return usagef("--box: %w", err)
			}
			request.Boxes = append(request.Boxes, box)
		}
	case pipeline.SemanticSynthesis:
		return s.settleLabelMap(m, request)
	}
	return nil
}

// classNames are those of ImageNet where a model has as many classes.
func classNames(n int) *labels.List {
	if list := labels.ImageNet(); list.Len() == n {
		return list
	}
	return labels.Numbered("class", n)
}

// settleLabelMap reads the label map, whose size is the pictures' unless the user gives one.
func (s *settings) settleLabelMap(m *model, request *pipeline.Request) error {
	r := &s.recipe
	if err := r.Segmentation.verify("segmentation"); err != nil {
		return err
	}
	labels, err := imageio.DecodeLabelsFile(r.Segmentation.File, labels.Palette(m.Labels()))
	if err != nil {
		return inputError(err)
	}
	if s.sized() && (r.Width != 0 && r.Width != labels.Width || r.Height != 0 && r.Height != labels.Height) {
		return usagef("the label map %s is %dx%d; leave the size out, or give that", r.Segmentation.File, labels.Width, labels.Height)
	}
	r.Width, r.Height = labels.Width, labels.Height
	request.Width, request.Height, request.LabelMap = labels.Width, labels.Height, labels.Classes
	return nil
}
