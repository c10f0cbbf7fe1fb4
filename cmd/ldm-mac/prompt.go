package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

func promptFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "prompt", Aliases: []string{"p"}, Category: "Prompt", Usage: "`TEXT` what to draw; - reads standard input"},
		&cli.StringFlag{Name: "prompt-file", Category: "Prompt", Usage: "`FILE` read the prompt from a file; - is standard input"},
		&cli.StringFlag{Name: "negative-prompt", Aliases: []string{"n", "negative"}, Category: "Prompt", Usage: "`TEXT` what to move away from"},
	}
}

// maxPromptFile bounds, in bytes, what is read as a prompt; no text encoder reads a hundredth.
const maxPromptFile = 1 << 20

// readPrompt is the prompt that the user gives, by one way of several, and false when there is
// none. What is given explicitly may be empty.
func readPrompt(c *cli.Context, implicit bool) (prompt string, given bool, err error) {
	var ways []string
	if c.IsSet("prompt") {
		ways = append(ways, "--prompt")
	}
	if c.IsSet("prompt-file") {
		ways = append(ways, "--prompt-file")
	}
	if c.NArg() > 0 {
		ways = append(ways, "arguments")
	}
	if len(ways) > 1 {
		return "", false, usagef("the prompt is given twice, by %s", strings.Join(ways, " and by "))
	}
	switch {
	case len(ways) == 0 && implicit && !term.IsTerminal(int(os.Stdin.Fd())):
		prompt, err = readStdin(c.Context)
		given = prompt != ""
	case len(ways) == 0:
	case c.IsSet("prompt-file"):
		prompt, err = readPromptFile(c.Context, c.String("prompt-file"))
		given = true
	default:
		prompt, given = c.String("prompt"), true
		if c.NArg() > 0 {
			prompt = strings.Join(c.Args().Slice(), " ")
		}
		if prompt == "-" {
			prompt, err = readStdin(c.Context)
		}
	}
	return prompt, given, err
}

func readPromptFile(ctx context.Context, name string) (string, error) {
	if name == "-" {
		return readStdin(ctx)
	}
	file, err := os.Open(name)
	if err != nil {
		return "", inputError(fmt.Errorf("prompt file: %w", err))
	}
	defer file.Close()
	return readText(file, name)
}

// readStdin gives up when the context ends, which a read of a terminal does not.
func readStdin(ctx context.Context) (text string, err error) {
	done := make(chan struct{})
	go func() {
		text, err = readText(os.Stdin, "standard input")
		close(done)
	}()
	select {
	case <-done:
		return text, err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func readText(r io.Reader, name string) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPromptFile+1))
	if err != nil {
		return "", inputError(fmt.Errorf("prompt: %w", err))
	}
	if len(data) > maxPromptFile {
		return "", usagef("the prompt in %s has more than %d bytes", name, maxPromptFile)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
