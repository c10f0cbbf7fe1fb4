package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/labels"
)

func labelsCommand() *cli.Command {
	return &cli.Command{
		Name: "labels", Usage: "list what models of classes, layouts and label maps can draw", ArgsUsage: "[WORD]",
		Description: `Prints number and names of each class, of label maps with its colour in pictures for --segmentation. A
label map is a PNG: grey levels or palette indices are numbers of classes, pictures in colour have
the colours that are listed. With WORD, only names that contain it.

Examples:
  ldm-mac labels --list imagenet retriever
  ldm-mac labels --list cocostuff
  ldm-mac labels --list openimages dog --json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "list", Value: "imagenet", Usage: "`NAME` imagenet for --class, openimages for --box, or cocostuff for --segmentation"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: labelsAction,
	}
}

// label is one class; also the form of it in --json.
type label struct {
	Number int      `json:"number"`
	Names  []string `json:"names"`
	Colour string   `json:"colour,omitempty"` // in label maps, #rrggbb
}

func labelsAction(c *cli.Context) error {
	var list *labels.List
	switch name := c.String("list"); name {
	case "imagenet":
		list = labels.ImageNet()
	case "openimages":
		list = labels.OpenImages()
	case "cocostuff":
		list = labels.COCOStuff()
	default:
		return usagef("unknown list %q, want imagenet, openimages or cocostuff", name)
	}
	word := strings.ToLower(strings.Join(c.Args().Slice(), " "))
	found := []label{}
	palette := labels.Palette(list.Len())
	for i := range list.Len() {
		l := label{Number: i, Names: list.Names(i)}
		if !strings.Contains(strings.ToLower(strings.Join(l.Names, "\n")), word) {
			continue
		}
		if list == labels.COCOStuff() {
			r, g, b, _ := palette[i].RGBA()
			l.Colour = fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
		}
		found = append(found, l)
	}
	if c.Bool("json") {
		return printed(writeJSON(c.App.Writer, map[string]any{"version": 1, "labels": found}))
	}
	return printed(printLabels(c.App.Writer, found))
}

func printLabels(w io.Writer, found []label) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range found {
		fmt.Fprintf(out, "%d\t", l.Number)
		if l.Colour != "" {
			fmt.Fprintf(out, "%s\t", l.Colour)
		}
		fmt.Fprintln(out, strings.Join(l.Names, ", "))
	}
	return out.Flush()
}
