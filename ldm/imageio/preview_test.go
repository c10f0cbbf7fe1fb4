package imageio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func TestDetectProtocol(t *testing.T) {
	for _, c := range []struct {
		environment, want string // "KEY=value KEY=value"
	}{
		{"", NoPreview},
		{"TERM=xterm-256color", NoPreview},
		{"TERM_PROGRAM=Apple_Terminal", NoPreview},
		{"TERM_PROGRAM=iTerm.app", ITerm2},
		{"TERM_PROGRAM=WezTerm", ITerm2},
		{"WEZTERM_PANE=0", ITerm2},
		{"KITTY_WINDOW_ID=1", Kitty},
		{"GHOSTTY_RESOURCES_DIR=/usr/share/ghostty", Kitty},
		{"TERM_PROGRAM=ghostty", Kitty},
		{"TERM_PROGRAM=WezTerm KITTY_WINDOW_ID=1", ITerm2},
		{"TERM_PROGRAM=ghostty WEZTERM_PANE=0", Kitty},
		{"TERM_PROGRAM=iTerm.app TMUX=/tmp/tmux-0/default", NoPreview},
		{"KITTY_WINDOW_ID=1 TMUX=/tmp/tmux-0/default", NoPreview},
	} {
		variables := map[string]string{}
		for field := range strings.FieldsSeq(c.environment) {
			key, value, _ := strings.Cut(field, "=")
			variables[key] = value
		}
		if got := DetectProtocol(func(key string) string { return variables[key] }); got != c.want {
			t.Errorf("%q: protocol %q, want %q", c.environment, got, c.want)
		}
	}
}

func TestPreviewITerm2(t *testing.T) {
	var b bytes.Buffer
	if err := Preview(&b, ITerm2, []byte("png")); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b]1337;File=inline=1;preserveAspectRatio=1;size=3:cG5n\a\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestPreviewKitty(t *testing.T) {
	const full = kittyChunk / 4 * 3 // bytes of PNG in a whole chunk
	for _, c := range []struct{ size, chunks int }{{0, 1}, {1, 1}, {full, 1}, {full + 1, 2}, {2 * full, 2}, {3*full + 5, 4}} {
		png := bytes.Repeat([]byte("\x89PNG"), c.size)[:c.size]
		var b bytes.Buffer
		if err := Preview(&b, Kitty, png); err != nil {
			t.Fatal(err)
		}
		sequences := strings.Split(strings.TrimSuffix(b.String(), "\x1b\\\n"), "\x1b\\")
		if len(sequences) != c.chunks {
			t.Fatalf("%d bytes: %d chunks, want %d", c.size, len(sequences), c.chunks)
		}
		var data string
		for i, s := range sequences {
			want := "\x1b_G"
			if i == 0 {
				want += "a=T,f=100,"
			}
			want += "m=1;"
			if i == c.chunks-1 {
				want = strings.Replace(want, "m=1", "m=0", 1)
			}
			part, ok := strings.CutPrefix(s, want)
			if !ok || len(part) > kittyChunk || i < c.chunks-1 && len(part) != kittyChunk {
				t.Errorf("%d bytes, chunk %d: %d bytes from %.20q, want %q and at most %d", c.size, i, len(part), s, want, kittyChunk)
			}
			data += part
		}
		if got, err := base64.StdEncoding.DecodeString(data); err != nil || !bytes.Equal(got, png) {
			t.Errorf("%d bytes: came back as %d bytes, %v", c.size, len(got), err)
		}
	}
}

func TestPreviewOther(t *testing.T) {
	var b bytes.Buffer
	if err := Preview(&b, NoPreview, []byte("png")); err != nil || b.Len() != 0 {
		t.Errorf("%q and %v, want nothing", b.String(), err)
	}
	if err := Preview(&b, "sixel", nil); err == nil || !strings.Contains(err.Error(), `"sixel", want "kitty", "iterm2" or "off"`) {
		t.Errorf("error %v, want one that names the protocols", err)
	}
	if err := Preview(&fullDisk{}, Kitty, nil); !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v", err, errFull)
	}
}
