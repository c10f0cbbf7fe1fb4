package imageio

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// Protocols by which terminals show pictures.
const (
	Kitty     = "kitty"  // sw.kovidgoyal.net/kitty/graphics-protocol
	ITerm2    = "iterm2" // iterm2.com/documentation-images.html
	NoPreview = "off"
)

// kittyChunk is the most base64 bytes one kitty escape sequence may carry.
const kittyChunk = 4096

// DetectProtocol names the protocol of the terminal that the environment describes: Kitty for
// kitty and Ghostty, ITerm2 for iTerm2 and WezTerm, NoPreview for any other and inside tmux, which
// swallows both. getenv is os.Getenv or its like.
func DetectProtocol(getenv func(string) string) string {
	if getenv("TMUX") != "" {
		return NoPreview
	}
	// The terminal's own name goes first: the window ids of a terminal it was started from are inherited.
	switch getenv("TERM_PROGRAM") {
	case "iTerm.app", "WezTerm":
		return ITerm2
	case "ghostty":
		return Kitty
	}
	switch {
	case getenv("KITTY_WINDOW_ID") != "", getenv("GHOSTTY_RESOURCES_DIR") != "":
		return Kitty
	case getenv("WEZTERM_PANE") != "":
		return ITerm2
	}
	return NoPreview
}

// Preview shows a PNG in the terminal behind w, and ends the line. NoPreview shows nothing; a
// protocol of no known name is an error.
func Preview(w io.Writer, protocol string, png []byte) error {
	var b strings.Builder
	data := base64.StdEncoding.EncodeToString(png)
	switch protocol {
	case NoPreview:
		return nil
	case ITerm2:
		fmt.Fprintf(&b, "\x1b]1337;File=inline=1;preserveAspectRatio=1;size=%d:%s\a\n", len(png), data)
	case Kitty:
		control := "a=T,f=100," // transmit and show; the format is PNG
		for more := 1; more == 1; control = "" {
			part := data[:min(len(data), kittyChunk)]
			data = data[len(part):]
			if data == "" {
				more = 0
			}
			fmt.Fprintf(&b, "\x1b_G%sm=%d;%s\x1b\\", control, more, part)
		}
		b.WriteByte('\n')
	default:
		return fmt.Errorf("imageio: preview protocol %q, want %q, %q or %q", protocol, Kitty, ITerm2, NoPreview)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("imageio: preview: %w", err)
	}
	return nil
}
