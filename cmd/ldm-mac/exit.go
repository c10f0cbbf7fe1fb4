package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

// Exit statuses besides 0. An end by a signal is 128 and its number, as in shells.
const (
	exitFailed = 1 // the run failed: an output that cannot be written, numbers that overflow
	exitUsage  = 2 // the command line or the prompt is wrong
	exitInput  = 3 // a model or another input file is missing, corrupt or unsupported
	exitMemory = 5
	exitDevice = 6 // --backend metal where there is no Metal device
)

// failure is an error whose exit status its kind does not tell.
type failure struct {
	status int
	code   string // for machines, in --json
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usagef(format string, args ...any) error {
	return &failure{exitUsage, "usage", fmt.Errorf(format, args...)}
}

// inputError is about a file that the user named, other than a model.
func inputError(err error) error {
	code := "file_invalid"
	if errors.Is(err, fs.ErrNotExist) {
		code = "file_not_found"
	}
	return &failure{exitInput, code, err}
}

// outputError is about a file that could not be written.
func outputError(err error) error { return &failure{exitFailed, "output", err} }

// errQuiet ends the program with status 1 and no message: nobody reads standard output any more.
var errQuiet = &failure{exitFailed, "output", errors.New("standard output is closed")}

// interrupted is the cause of the end of signalContext's context.
type interrupted struct{ syscall.Signal }

func (s interrupted) Error() string {
	if s.Signal == syscall.SIGINT {
		return "interrupted"
	}
	return "terminated"
}

// classify returns the exit status of an error, and its name for machines.
func classify(ctx context.Context, err error) (status int, code string) {
	var signal interrupted
	var known *failure
	var request *pipeline.RequestError
	var model *checkpoint.Error
	switch {
	case errors.As(context.Cause(ctx), &signal):
		return 128 + int(signal.Signal), signal.Error()
	case errors.As(err, &known):
		return known.status, known.code
	case errors.As(err, &request):
		return exitUsage, "usage"
	case errors.Is(err, tensor.ErrOutOfMemory):
		return exitMemory, "out_of_memory"
	case errors.Is(err, metal.ErrNoDevice), errors.Is(err, metal.ErrUnavailable):
		return exitDevice, "no_device"
	case errors.As(err, &model) && errors.Is(err, fs.ErrNotExist):
		return exitInput, "model_not_found"
	case errors.As(err, &model):
		return exitInput, "model_invalid"
	}
	return exitFailed, "failed"
}

// report tells the user of err, which may be nil, and returns the exit status.
func report(w io.Writer, ctx context.Context, err error, asJSON bool) int {
	if err == nil {
		return 0
	}
	status, code := classify(ctx, err)
	var signal interrupted
	if errors.As(context.Cause(ctx), &signal) {
		err = signal
	}
	switch {
	case err == errQuiet:
	case asJSON:
		type object struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}
		writeJSON(w, map[string]object{"error": {code, err.Error()}})
	default:
		fmt.Fprintf(w, "ldm-mac: %v\n", err)
	}
	return status
}

// writeJSON writes value and a newline, with <, > and & as they are.
func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// wantsJSON finds --json before it is known whether the command line can be parsed.
func wantsJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "-json")
}

// writing is held while a file is being written, so that an exit leaves no part of one.
var writing sync.Mutex

// signalContext ends at the first SIGINT or SIGTERM, with the signal as its cause; the second
// ends the program. A closed pipe is an error of the write instead of a signal.
func signalContext() context.Context {
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		cancel(interrupted{(<-signals).(syscall.Signal)})
		second := (<-signals).(syscall.Signal)
		writing.Lock()
		os.Exit(128 + int(second))
	}()
	return ctx
}

// printed judges the error of a write to standard output. A reader that has gone away is no
// failure.
func printed(err error) error {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return outputError(fmt.Errorf("standard output: %w", err))
}
