package imageio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParametersKeyword is the PNG keyword under which AUTOMATIC1111's web UI and its readers keep
// what Parameters.String writes.
const ParametersKeyword = "parameters"

// Parameters is how a picture was made, in the text form of AUTOMATIC1111's web UI
// (modules/processing.py, create_infotext; modules/infotext_utils.py, parse_generation_parameters).
// All strings are UTF-8.
type Parameters struct {
	Prompt         string
	NegativePrompt string
	Steps          int     // 0 when unknown
	Sampler        string  // the web UI's name, see SamplerLabel; empty when unknown
	GuidanceScale  float64 // "CFG scale"; 1, no guidance, when the text has none
	Seed           int64   // -1, the web UI's word for a random one, when the text has none
	Width, Height  int     // pixels; 0 when unknown
	ModelHash      string  // the first 10 hex digits of the file's SHA-256, or empty
	Model          string  // or empty
	Eta            float64 // 0 when the text has none
	Extra          []Pair  // further parameters, in order
	Version        string  // of the program, or empty
}

// Pair is a parameter that Parameters has no field for. A key has a letter, digit or underscore,
// then at least one of these or of space, '-' and '/'.
type Pair struct{ Key, Value string }

const (
	negativePrefix = "Negative prompt:"
	etaDDIM        = "Eta DDIM"
	// word is Python's \w, space its \s: both know Unicode where Go's know ASCII.
	word  = `\p{L}\p{N}_`
	space = `\s\v\x{85}\p{Z}`
)

var (
	pairPattern = regexp.MustCompile(`[` + space + `]*([` + word + `][` + word + ` \-/]+):[` + space + `]*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)`)
	sizePattern = regexp.MustCompile(`^(\d+)x(\d+)$`)
)

// String is the prompt, a line "Negative prompt: …" unless that is empty, and a line of "key: value"
// pairs. Prompts that these lines cannot hold (a line that starts like the negative prompt's, outer
// spaces) are repeated as quoted pairs, which the web UI's reader lets go before the lines. Empty
// strings, an unknown size and an eta of 0 are left out.
func (p Parameters) String() string {
	text := p.Prompt
	if p.NegativePrompt != "" {
		text += "\n" + negativePrefix + " " + p.NegativePrompt
	}
	var pairs []string
	add := func(key, value string) { pairs = append(pairs, key+": "+quote(value)) }
	addText := func(key, value string) {
		if value != "" {
			add(key, value)
		}
	}
	add("Steps", strconv.Itoa(p.Steps))
	addText("Sampler", p.Sampler)
	add("CFG scale", formatFloat(p.GuidanceScale))
	add("Seed", strconv.FormatInt(p.Seed, 10))
	if p.Width != 0 || p.Height != 0 {
		add("Size", fmt.Sprintf("%dx%d", p.Width, p.Height))
	}
	addText("Model hash", p.ModelHash)
	addText("Model", p.Model)
	if p.Eta != 0 {
		add(etaKey(p.Sampler), formatFloat(p.Eta))
	}
	for _, extra := range p.Extra {
		add(extra.Key, extra.Value)
	}
	if prompt, negative := splitPrompts(text); prompt != p.Prompt || negative != p.NegativePrompt {
		add("Prompt", p.Prompt)
		add("Negative prompt", p.NegativePrompt)
	}
	addText("Version", p.Version)
	return strings.TrimSpace(text + "\n" + strings.Join(pairs, ", "))
}

// ParseParameters reads what String or the web UI wrote. The last line has to have at least three
// pairs, which is how the web UI tells it from a prompt; of equal keys the last counts, an empty
// value is passed over.
func ParseParameters(text string) (Parameters, error) {
	if !utf8.ValidString(text) {
		return Parameters{}, fmt.Errorf("imageio: the parameters are not UTF-8")
	}
	text = strings.TrimSpace(text)
	last := strings.LastIndexByte(text, '\n') + 1
	pairs := pairPattern.FindAllStringSubmatch(text[last:], -1)
	if len(pairs) < 3 {
		return Parameters{}, fmt.Errorf("imageio: no parameters: the last line has %d pairs like \"Steps: 20\", want at least 3", len(pairs))
	}
	p := Parameters{GuidanceScale: 1, Seed: -1}
	p.Prompt, p.NegativePrompt = splitPrompts(text[:last])
	for _, pair := range pairs {
		if pair[2] == "" {
			continue
		}
		if err := p.set(pair[1], unquote(pair[2])); err != nil {
			return Parameters{}, fmt.Errorf("imageio: parameter %q is %q, want %w", pair[1], pair[2], err)
		}
	}
	return p, nil
}

// splitPrompts undoes the joining of the two prompts as the web UI does: lines are trimmed, and any
// line that starts with the prefix belongs to the negative prompt, as do all that follow.
func splitPrompts(text string) (prompt, negative string) {
	into := &prompt
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, negativePrefix); ok {
			into, line = &negative, strings.TrimSpace(rest)
		}
		if *into != "" {
			*into += "\n"
		}
		*into += line
	}
	return prompt, negative
}

// set stores one parameter; its error says what was wanted of the value.
func (p *Parameters) set(key, value string) (err error) {
	switch key {
	case "Prompt":
		p.Prompt = value
	case "Negative prompt":
		p.NegativePrompt = value
	case "Steps":
		p.Steps, err = parseCount(value)
	case "Sampler":
		p.Sampler = value
	case "CFG scale":
		p.GuidanceScale, err = parseFloat(value)
	case "Seed":
		if p.Seed, err = strconv.ParseInt(value, 10, 64); err != nil {
			return fmt.Errorf("a whole number of 64 bits")
		}
	case "Size":
		size := sizePattern.FindStringSubmatch(value)
		if size == nil {
			return fmt.Errorf("WIDTHxHEIGHT")
		}
		if p.Width, err = parseCount(size[1]); err == nil {
			p.Height, err = parseCount(size[2])
		}
	case "Model hash":
		p.ModelHash = value
	case "Model":
		p.Model = value
	case "Eta", etaDDIM:
		p.Eta, err = parseFloat(value)
	case "Version":
		p.Version = value
	default:
		p.Extra = append(p.Extra, Pair{key, value})
	}
	return err
}

// etaKey names eta: the web UI keeps that of the samplers it took from CompVis apart
// (modules/sd_samplers_timesteps.py).
func etaKey(sampler string) string {
	switch sampler {
	case "DDIM", "PLMS", "UniPC":
		return etaDDIM
	}
	return "Eta"
}

// quote makes JSON of a value that the pair pattern would not give back.
func quote(value string) string {
	if value != "" && value[0] != '"' && value == strings.TrimSpace(value) && !strings.ContainsAny(value, ",:\n") {
		return value
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(value) // a string into memory: cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}

// unquote undoes quote, and leaves what is not JSON as it is.
func unquote(value string) string {
	var s string
	if value[0] == '"' && json.Unmarshal([]byte(value), &s) == nil {
		return s
	}
	return value
}

// formatFloat writes whole numbers as "5.0", as Python does.
func formatFloat(x float64) string {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if strings.Contains(s, ".") {
		return s
	}
	return s + ".0"
}

func parseFloat(s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, fmt.Errorf("a finite number")
	}
	return x, nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("a whole number from 0 to %d", math.MaxInt32)
	}
	return int(n), nil
}
