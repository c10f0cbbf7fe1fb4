package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"ldm-mac/ldm/pipeline"
)

func reportFlags() []cli.Flag {
	const group = "Report"
	return []cli.Flag{
		&cli.BoolFlag{Name: "json", Category: group, Usage: "print one JSON object about the pictures, and errors as JSON"},
		&cli.StringFlag{Name: "progress", Value: "auto", Category: group, Usage: "`FORM` of progress on standard error: auto (a bar in terminals), bar, json or none"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Category: group, Usage: "print nothing but results and errors"},
	}
}

// reporter tells the user, on standard error, how a run goes.
type reporter struct {
	w         io.Writer
	form      string // "bar", "json" or "none"
	quiet     bool   // no notes and no warnings, which --json prints itself
	terminal  bool   // w is one
	batchSize int
	start     time.Time
	width     int       // of the terminal in characters; 0 when unknown
	sampling  time.Time // the start of the present batch
	drawn     bool      // a bar is in the terminal's last line
	warnings  []string
}

func newReporter(c *cli.Context) (*reporter, error) {
	r := &reporter{
		w: c.App.ErrWriter, form: c.String("progress"), quiet: c.Bool("quiet") || c.Bool("json"),
		terminal: term.IsTerminal(int(os.Stderr.Fd())), batchSize: 1, start: time.Now(), warnings: []string{},
	}
	if width, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil {
		r.width = width
	}
	switch r.form {
	case "bar", "json", "none":
	case "auto":
		r.form = "none"
		if r.terminal && !c.Bool("quiet") {
			r.form = "bar"
		}
	default:
		return nil, usagef("unknown progress %q, want auto, bar, json or none", r.form)
	}
	return r, nil
}

// progress is a pipeline.Request's OnProgress.
func (r *reporter) progress(p pipeline.Progress) {
	if p.Stage == pipeline.StageSample && p.Step == 0 {
		r.sampling = time.Now()
	}
	switch r.form {
	case "bar":
		r.draw(r.line(p))
	case "json":
		event := map[string]any{"event": string(p.Stage), "image": p.Picture, "images": p.Count}
		if p.Stage == pipeline.StageSample {
			event["event"], event["step"], event["total"] = "step", p.Step, p.Steps
		}
		r.event(event)
	}
}

// line is the bar of a moment.
func (r *reporter) line(p pipeline.Progress) string {
	counter := ""
	if p.Count > 1 {
		counter = fmt.Sprintf("image %d/%d  ", min(p.Picture+1, p.Count), p.Count)
	}
	switch p.Stage {
	case pipeline.StageLoad:
		return counter + "loading the model"
	case pipeline.StageText:
		return counter + "reading the prompt"
	case pipeline.StageDecode:
		return counter + "decoding"
	}
	line := counter + bar(p.Step, p.Steps) + fmt.Sprintf("  step %d/%d", p.Step, p.Steps)
	if p.Step == 0 {
		return line
	}
	perStep := time.Since(r.sampling) / time.Duration(p.Step)
	batches := max(0, (p.Count-p.Picture-1)/r.batchSize) // after this one
	left := perStep * time.Duration(p.Steps-p.Step+batches*p.Steps)
	return line + fmt.Sprintf("  %.2f s/step  ETA %s", perStep.Seconds(), clock(left))
}

func bar(done, all int) string {
	const width = 24
	filled := width * done / max(all, 1)
	return "[" + strings.Repeat("=", filled) + strings.Repeat(" ", width-filled) + "]"
}

// clock is a duration as 1:02 or 1:02:03.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// bytes reports what is written of a file.
func (r *reporter) bytes(done, total int64) {
	const mega = 1 << 20
	switch r.form {
	case "bar":
		r.draw(fmt.Sprintf("%s  %d/%d MiB", bar(int(done/mega), int(total/mega)), done/mega, total/mega))
	case "json":
		r.event(map[string]any{"event": "write", "bytes": done, "total": total})
	}
}

// image reports a written picture.
func (r *reporter) image(path string, seed uint64) {
	if r.form == "json" {
		r.event(map[string]any{"event": "image", "path": path, "seed": seed})
	}
}

func (r *reporter) event(event map[string]any) {
	event["elapsed_ms"] = time.Since(r.start).Milliseconds()
	writeJSON(r.w, event)
}

// draw replaces the line that the bar is in. A line that wraps could not be replaced.
func (r *reporter) draw(line string) {
	if r.width > 0 {
		line = line[:min(len(line), r.width-1)]
	}
	fmt.Fprintf(r.w, "\r%s\x1b[K", line)
	r.drawn = true
}

// clear removes the bar.
func (r *reporter) clear() {
	if r.drawn {
		fmt.Fprint(r.w, "\r\x1b[K")
		r.drawn = false
	}
}

// warn tells of something that the user may not have wanted.
func (r *reporter) warn(message string) {
	r.warnings = append(r.warnings, message)
	r.say("warning", message)
}

// note tells of something that the user may want to know.
func (r *reporter) note(format string, args ...any) { r.say("note", fmt.Sprintf(format, args...)) }

func (r *reporter) say(kind, message string) {
	switch {
	case r.form == "json":
		r.event(map[string]any{"event": kind, "message": message})
	case !r.quiet:
		r.clear()
		fmt.Fprintf(r.w, "ldm-mac: %s: %s\n", kind, message)
	}
}
