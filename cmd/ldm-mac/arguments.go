package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange checks the commands and flags of a command line and moves flags before the other
// arguments, where urfave/cli finds them. "--" ends the flags; "help x" becomes "x --help".
func arrange(app *cli.App, args []string) ([]string, error) {
	out, rest := []string{args[0]}, args[1:]
	if len(rest) > 0 && rest[0] == "help" {
		rest = append(slices.Clone(rest[1:]), "--help")
	}
	commands, flags, path := app.Commands, app.Flags, app.Name
	for len(commands) > 0 {
		if len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
			break
		}
		c := command(commands, rest[0])
		if c == nil {
			var names []string
			for _, c := range commands {
				names = append(names, c.Names()...)
			}
			return nil, usagef("unknown command %q%s; see %s --help", rest[0], didYouMean(rest[0], names), path)
		}
		out = append(out, c.Name)
		rest = rest[1:]
		commands, flags, path = c.Subcommands, c.Flags, path+" "+c.Name
	}
	options, words, err := split(flags, path, rest)
	switch {
	case err != nil:
		return nil, err
	case slices.ContainsFunc(options, isHelp):
		return append(out, "--help"), nil
	case len(commands) > 0 && len(words) > 0:
		return nil, usagef("flag %s before the command %q, want it behind; see %s --help", rest[0], words[0], path)
	case len(commands) > 0:
		return append(out, options...), nil
	}
	return append(append(append(out, options...), "--"), words...), nil
}

// split separates the flags of a command, with their values, from its other arguments.
func split(flags []cli.Flag, path string, args []string) (options, words []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return options, append(words, args...), nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			words = append(words, arg)
			continue
		}
		options = append(options, arg)
		name, _, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if isHelp(arg) {
			continue
		}
		flag := flagNamed(flags, name)
		if flag == nil {
			return nil, nil, usagef("unknown flag %s%s; see %s --help", strings.SplitN(arg, "=", 2)[0],
				didYouMean(arg, flagNames(flags)), path)
		}
		if takesValue(flag) && !hasValue {
			if len(args) == 0 {
				return nil, nil, usagef("flag %s has no value; see %s --help", arg, path)
			}
			options = append(options, args[0])
			args = args[1:]
		}
	}
	return options, words, nil
}

// onUsageError is told of values that their flags cannot take.
func onUsageError(_ *cli.Context, err error, _ bool) error {
	return usagef("%s", strings.Replace(err.Error(), "for flag -", "for flag --", 1))
}

func isHelp(arg string) bool {
	return arg == "-h" || arg == "--help" || arg == "-help"
}

func command(commands []*cli.Command, name string) *cli.Command {
	if i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(name) }); i >= 0 {
		return commands[i]
	}
	return nil
}

func flagNamed(flags []cli.Flag, name string) cli.Flag {
	if i := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }); i >= 0 {
		return flags[i]
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	doc, ok := f.(cli.DocGenerationFlag)
	return ok && doc.TakesValue()
}

// flagNames are the names as users write them.
func flagNames(flags []cli.Flag) []string {
	names := []string{"--help"}
	for _, f := range flags {
		for _, name := range f.Names() {
			names = append(names, dashed(name))
		}
	}
	return names
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// didYouMean is what a message says behind an unknown name: the candidate that is most like it,
// or nothing when none is.
func didYouMean(name string, candidates []string) string {
	best, least := "", 1+len(name)/3
	for _, c := range candidates {
		if d := editDistance(name, c); d < least {
			best, least = c, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// editDistance is the number of bytes to insert, delete or replace, or of neighbours to swap, that
// makes b of a (optimal string alignment).
func editDistance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last = last, row
		row = make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replaced := last[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
