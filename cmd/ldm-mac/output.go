package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"ldm-mac/ldm/imageio"
)

func outputFlags() []cli.Flag {
	const group = "Output"
	return []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Category: group, DefaultText: defaultName,
			Usage: "`PATH` file, folder, or template with {slug} {seed} {index} {model} {date}; - is standard output"},
		&cli.StringFlag{Name: "format", Category: group, Usage: "`NAME` png, jpeg, webp or tiff", DefaultText: "that of the name, else png"},
		&cli.IntFlag{Name: "quality", Category: group, Usage: "`N` of JPEG, 1 to 100", DefaultText: fmt.Sprint(imageio.DefaultQuality)},
		&cli.BoolFlag{Name: "force", Category: group, Usage: "overwrite files instead of choosing free names"},
		&cli.BoolFlag{Name: "no-metadata", Category: group, Usage: "leave out of the picture how it was made"},
		&cli.StringFlag{Name: "save-latents", Category: group,
			Usage: "`FILE` write the tensors text, noise, step.000 …, latents and image as safetensors"},
		&cli.StringFlag{Name: "preview", Value: "auto", Category: group, Usage: "`PROTOCOL` show the picture in the terminal: auto, kitty, iterm2 or off"},
	}
}

// defaultName is the template of a picture's name where the user gives none.
const defaultName = "{slug}-{seed}.png"

// output is where pictures go.
type output struct {
	stdout    bool
	template  string
	overwrite bool
	format    imageio.Format
	quality   int             // of JPEG; 0 for the usual
	made      []string        // the folders that prepare made
	written   map[string]bool // paths of this run, which it must not overwrite
}

// otherFormats are extensions that promise what is not written.
var otherFormats = []string{".gif", ".bmp", ".heic", ".heif", ".avif", ".jxl", ".pdf"}

// chooseFormat takes the format of pictures from --format, or from the extension of their names: PNG
// where that says nothing.
func (o *output) chooseFormat(c *cli.Context) error {
	extension := filepath.Ext(o.template)
	if slices.Contains(otherFormats, strings.ToLower(extension)) {
		return usagef("--output %s: pictures are written as PNG, JPEG, WebP and TIFF, want a name that ends in .png, .jpg, .webp or .tiff", o.template)
	}
	o.format = imageio.PNG
	named, err := imageio.FormatOf(o.template)
	if err == nil {
		o.format = named
	}
	if c.IsSet("format") {
		name := c.String("format")
		format, known := imageio.FormatOf("x." + strings.ToLower(name))
		if known != nil {
			return usagef("unknown format %q, want png, jpeg, webp or tiff", name)
		}
		if err == nil && format != named && c.IsSet("output") {
			return usagef("--format %s, but the name of --output %s says %s", name, o.template, named)
		}
		if o.format = format; err == nil && format != named {
			o.template = strings.TrimSuffix(o.template, extension) + "." + strings.ToLower(name)
		}
	}
	if o.quality = c.Int("quality"); c.IsSet("quality") && (o.quality < 1 || o.quality > 100) {
		return usagef("--quality %d, want 1 to 100", o.quality)
	}
	return nil
}

var field = regexp.MustCompile(`\{[^{}]*\}`)

// fields are what a template can hold.
type fields struct {
	slug, model, date, name string // name is that of the picture that is enlarged
	seed                    uint64
	index, scale            int
}

func newOutput(c *cli.Context) (*output, error) {
	o := &output{template: c.String("output"), overwrite: c.Bool("force"), written: map[string]bool{}}
	switch {
	case !c.IsSet("output"):
		o.template = defaultName
	case o.template == "":
		return nil, usagef("--output is empty, want a file, a folder or -")
	case o.template == "-":
		if term.IsTerminal(int(os.Stdout.Fd())) {
			return nil, usagef("standard output is a terminal; give --output a file, or send standard output to one")
		}
		o.stdout = true
		return o, o.chooseFormat(c)
	case isFolder(o.template):
		o.template = filepath.Join(o.template, defaultName)
	}
	if err := o.chooseFormat(c); err != nil {
		return nil, err
	}
	for _, name := range field.FindAllString(o.template, -1) {
		if _, known := (fields{}).values()[name]; !known {
			return nil, usagef("--output %s: unknown field %s, want one of %s", o.template, name,
				strings.Join(slices.Sorted(maps.Keys((fields{}).values())), " "))
		}
	}
	return o, nil
}

// isFolder reports whether pictures are to go into path.
func isFolder(path string) bool {
	if os.IsPathSeparator(path[len(path)-1]) {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (f fields) values() map[string]string {
	return map[string]string{
		"{slug}": f.slug, "{model}": f.model, "{date}": f.date,
		"{seed}": fmt.Sprint(f.seed), "{index}": fmt.Sprintf("%04d", f.index), "{name}": f.name, "{scale}": fmt.Sprint(f.scale),
	}
}

// path fills in the template.
func (o *output) path(f fields) string {
	values := f.values()
	return field.ReplaceAllStringFunc(o.template, func(name string) string { return values[name] })
}

// slug makes a short file name of a prompt.
func slug(prompt string) string {
	const longest = 50
	words := strings.FieldsFunc(strings.ToLower(prompt), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	name := strings.Join(words, "-")
	name = strings.Trim(name[:min(len(name), longest)], "-")
	if name == "" {
		return "image"
	}
	return name
}

// prepare checks that files can be made at paths, before the time is spent that they take. It
// makes folders that are missing, but not those above.
func (o *output) prepare(paths []string) error {
	checked := map[string]bool{}
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			return outputError(fmt.Errorf("%s is a folder, want a file", path))
		case err == nil && !info.Mode().IsRegular():
			return outputError(fmt.Errorf("%s is not a regular file; --output - writes to standard output", path))
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return outputError(err)
		}
		folder := filepath.Dir(path)
		if checked[folder] {
			continue
		}
		checked[folder] = true
		if err := o.prepareFolder(folder); err != nil {
			return outputError(err)
		}
	}
	return nil
}

func (o *output) prepareFolder(folder string) error {
	_, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(folder, 0o777); err != nil {
			return err
		}
		o.made = append(o.made, folder)
		return nil
	}
	if err != nil {
		return err
	}
	probe, err := os.CreateTemp(folder, ".ldm-mac-*.tmp")
	if err != nil {
		var reason *fs.PathError
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return fmt.Errorf("cannot write to the folder %s: %w", folder, err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// abandon removes the folders that prepare made, unless there is something in them.
func (o *output) abandon() {
	for _, folder := range o.made {
		os.Remove(folder)
	}
}

// write makes a file at path, or at the next free name like it, and returns that.
func (o *output) write(path string, write func(io.Writer) error) (string, error) {
	writing.Lock()
	defer writing.Unlock()
	var err error
	if o.overwrite {
		path = o.fresh(path)
		err = imageio.WriteFile(path, true, write)
	} else {
		path, err = imageio.WriteFreeFile(path, write)
	}
	if err != nil {
		return "", outputError(err)
	}
	o.written[path] = true
	return path, nil
}

// fresh is the first of path, "name-2.ext", "name-3.ext" … that this run has not written.
func (o *output) fresh(path string) string {
	ext := filepath.Ext(path)
	name := strings.TrimSuffix(path, ext)
	for n := 2; o.written[path]; n++ {
		path = fmt.Sprintf("%s-%d%s", name, n, ext)
	}
	return path
}
