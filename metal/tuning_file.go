package metal

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"ldm-mac/bridge"
	"ldm-mac/shaders"
)

// tuningFile is the JSON that keeps a Tuning. It is for one device and one version of the kernels.
type tuningFile struct {
	Version int    `json:"version"`
	Device  string `json:"device"`
	Shaders string `json:"shaders"` // shaders.Hash
	Tuning  Tuning `json:"tuning"`
}

const tuningVersion = 1

// Files that are longer, or have more rules, were not written by Write.
const (
	mostTuningBytes = 1 << 20
	mostRules       = 1 << 10
)

// DeviceName is the name by which a device knows its own Tuning: its name and architecture.
func DeviceName(info bridge.Info) string { return info.Name + " " + info.Architecture }

// Write writes t as JSON for the device of that DeviceName, to be read by ReadTuning.
func (t *Tuning) Write(w io.Writer, device string) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "\t")
	if err := encoder.Encode(tuningFile{tuningVersion, device, shaders.Hash(), *t}); err != nil {
		return fmt.Errorf("metal: write tuning: %w", err)
	}
	return nil
}

// ReadTuning reads what Write wrote to the file at path. It fails if that is for a device of another
// DeviceName or for other kernels, or was not written by Write.
func ReadTuning(path, device string) (*Tuning, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("metal: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostTuningBytes+1))
	if err != nil {
		return nil, fmt.Errorf("metal: %w", err)
	}
	t, err := parseTuning(data, device)
	if err != nil {
		return nil, fmt.Errorf("metal: tuning %s: %w", path, err)
	}
	return t, nil
}

func parseTuning(data []byte, device string) (*Tuning, error) {
	if len(data) > mostTuningBytes {
		return nil, fmt.Errorf("more than %d bytes", mostTuningBytes)
	}
	var f tuningFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	t := &f.Tuning
	switch {
	case f.Version != tuningVersion:
		return nil, fmt.Errorf("version %d, want %d", f.Version, tuningVersion)
	case f.Device != device:
		return nil, fmt.Errorf("for device %q, want %q", f.Device, device)
	case f.Shaders != shaders.Hash():
		return nil, fmt.Errorf("for kernels %q, want %q", f.Shaders, shaders.Hash())
	case len(t.Products)+len(t.Convolutions) > mostRules:
		return nil, fmt.Errorf("%d rules, want at most %d", len(t.Products)+len(t.Convolutions), mostRules)
	case t.SmallTile < 0:
		return nil, fmt.Errorf("a small tile below %d threadgroups, want 0 or more", t.SmallTile)
	}
	for _, rules := range [][]Rule{t.Products, t.Convolutions} {
		for _, r := range rules {
			if min(r.MaxRows, r.MaxColumns, r.MaxTerms) < 0 {
				return nil, fmt.Errorf("a rule for at most %d × %d of %d terms, want 0 or more", r.MaxRows, r.MaxColumns, r.MaxTerms)
			}
		}
	}
	return t, nil
}
