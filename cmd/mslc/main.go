// Mslc compiles kernels in the Metal Shading Language for the software Metal.
//
//	mslc [-check] [-I folder]… -o library.so file.metal…   makes a library that runs on this machine
//	mslc -strict [-lint] [-I folder]… file.metal…          only checks: types with address spaces, rules of MSL
//
// Several files become one source, in the order given. Messages name file and line; the exit code
// is 1 when there are any, 2 for a wrong command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"ldm-mac/bridge/softmetal/msl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

const usage = `usage: mslc [-check] [-I folder]... -o library.so file.metal...
       mslc -strict -lint [-I folder]... file.metal...
`

// run does what the arguments say; messages go to w.
func run(ctx context.Context, args []string, w io.Writer) int {
	var o msl.Options
	flags := flag.NewFlagSet("mslc", flag.ContinueOnError)
	flags.SetOutput(w)
	flags.Usage = func() {
		fmt.Fprint(w, usage)
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.Checked, "check", false, "instrument loads and stores for the runtime's checkers")
	strict := flags.Bool("strict", false, "type-check with address spaces")
	lint := flags.Bool("lint", false, "look for what Apple's compiler would refuse")
	output := flags.String("o", "", "the library to make")
	flags.Func("I", "a folder of included files; may be repeated", func(dir string) error {
		o.Include = append(o.Include, dir)
		return nil
	})
	o.Cache = os.Getenv("SOFTMETAL_CACHE")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() == 0 || *output == "" && !*strict && !*lint {
		flags.Usage()
		return 2
	}
	code := 0
	report := func(err error) {
		if err != nil {
			fmt.Fprintln(w, err)
			code = 1
		}
	}
	if *lint {
		problems, err := msl.LintFiles(ctx, flags.Args(), o)
		report(err)
		for _, p := range problems {
			fmt.Fprintln(w, p)
			code = 1
		}
	}
	if *strict {
		report(msl.CheckStrict(ctx, flags.Args(), o))
	}
	if *output != "" && code == 0 {
		report(msl.Compile(ctx, flags.Args(), *output, o))
	}
	return code
}
