package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/pipeline"
)

func tokenizeCommand() *cli.Command {
	return &cli.Command{
		Name: "tokenize", Usage: "show the tokens of a prompt as the text encoder reads them", ArgsUsage: "TEXT",
		Description: `Without TEXT, standard input is read. The padding is shown in --json only.

Examples:
  ldm-mac tokenize "a purple elephant, 3d render"
  ldm-mac tokenize "a purple elephant" --json`,
		Flags: append(promptFlags()[:2],
			modelFlag(),
			&cli.BoolFlag{Name: "json", Category: "Report", Usage: "print one JSON object with ids, pieces and truncated, the number of those left out"},
		),
		Action: tokenize,
	}
}

// tokens is what --json prints.
type tokens struct {
	IDs       []int32  `json:"ids"`
	Pieces    []string `json:"pieces"`
	Truncated int      `json:"truncated"`
}

func tokenize(c *cli.Context) error {
	text, given, err := readPrompt(c, true)
	if err != nil {
		return err
	}
	if !given {
		return usagef("no text; see %s --help", c.Command.HelpName)
	}
	folder, err := openFolder(c.String("model"))
	if err != nil {
		return err
	}
	if task, ok := pipeline.TaskOf(folder.Class); ok && folder.Components["tokenizer"].Class == "" {
		return usagef("%s reads no texts: it is a model of the kind %q", modelName(c.String("model")), task)
	}
	tokenizer, length, err := pipeline.LoadTokenizer(folder)
	if err != nil {
		return err
	}
	var t tokens
	t.IDs, t.Pieces, t.Truncated = tokenizer.Encode(text, length)
	if c.Bool("json") {
		return printed(writeJSON(c.App.Writer, t))
	}
	const special = 2 // the tokens around the text's
	for i := range min(len(t.IDs), len(tokenizer.Pieces(text))+special) {
		if _, err := fmt.Fprintf(c.App.Writer, "%d\t%s\n", t.IDs[i], t.Pieces[i]); err != nil {
			return printed(err)
		}
	}
	if t.Truncated > 0 {
		fmt.Fprintf(c.App.ErrWriter, "ldm-mac: warning: the text encoder reads %d tokens; %d are left out\n", len(t.IDs), t.Truncated)
	}
	return nil
}
