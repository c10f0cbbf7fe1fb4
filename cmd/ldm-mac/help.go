package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// printHelp is the cli.HelpPrinter of this program: flags come in the groups and the order of
// their definition. The template is urfave's and not used.
func printHelp(w io.Writer, _ string, data any) {
	var path, usage, arguments, description string
	var commands []*cli.Command
	var flags []cli.Flag
	switch c := data.(type) {
	case *cli.App:
		path, usage, description, commands, flags = c.Name, c.Usage, c.Description, c.Commands, c.Flags
	case *cli.Command:
		path, usage, arguments, description = c.HelpName, c.Usage, c.ArgsUsage, c.Description
		commands, flags = c.Subcommands, c.Flags
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer out.Flush()
	fmt.Fprintf(out, "%s: %s\n\nUsage:\n  %s", path, usage, path)
	if len(commands) > 0 {
		fmt.Fprint(out, " COMMAND")
	}
	fmt.Fprint(out, strings.TrimRight(" [FLAGS] "+arguments, " "))
	if c, ok := data.(*cli.Command); ok && len(c.Aliases) > 0 {
		fmt.Fprintf(out, "\n\nAliases:\n  %s", strings.Join(c.Aliases, ", "))
	}
	fmt.Fprintf(out, "\n\n%s\n", description)
	if len(commands) > 0 {
		fmt.Fprintln(out, "\nCommands:")
		for _, c := range commands {
			fmt.Fprintf(out, "  %s\t%s\n", c.Name, c.Usage)
		}
	}
	var groups []string
	for _, f := range flags {
		if group := groupOf(f); !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	for _, group := range groups {
		fmt.Fprintf(out, "\n%s:\n", group)
		for _, f := range flags {
			if groupOf(f) == group {
				printFlag(out, f)
			}
		}
	}
}

func groupOf(f cli.Flag) string {
	if c, ok := f.(cli.CategorizableFlag); ok && c.GetCategory() != "" {
		return c.GetCategory()
	}
	return "Flags"
}

// printFlag writes a line "-s, --steps N  what for (default: 20; also --other)". The name of the
// value stands in backquotes before the flag's usage.
func printFlag(w io.Writer, f cli.Flag) {
	doc := f.(cli.DocGenerationFlag)
	short, long := "    ", []string(nil)
	for _, name := range f.Names() {
		if len(name) == 1 {
			short = "-" + name + ", "
		} else {
			long = append(long, "--"+name)
		}
	}
	shown, usage := short+long[0], doc.GetUsage()
	if parts := strings.SplitN(usage, "`", 3); len(parts) == 3 {
		shown, usage = shown+" "+parts[1], strings.TrimSpace(parts[2])
	}
	var remarks []string
	if text := doc.GetDefaultText(); text != "" && doc.TakesValue() {
		remarks = append(remarks, "default: "+strings.Trim(text, `"`))
	}
	if len(long) > 1 {
		remarks = append(remarks, "also "+strings.Join(long[1:], ", "))
	}
	for _, name := range doc.GetEnvVars() {
		remarks = append(remarks, "or $"+name)
	}
	if len(remarks) > 0 {
		usage += " (" + strings.Join(remarks, "; ") + ")"
	}
	fmt.Fprintf(w, "  %s\t%s\n", shown, usage)
}
