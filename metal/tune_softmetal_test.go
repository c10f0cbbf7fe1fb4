//go:build softmetal && linux && cgo

package metal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ldm-mac/bridge"
	"ldm-mac/bridge/softmetal"
	"ldm-mac/ldm/tensor"
)

// TestTune measures every problem, in small, and finds each winner in the table.
func TestTune(t *testing.T) {
	list := small()
	var counts []int
	tuning, measured, err := tune(context.Background(), Options{DType: tensor.F16}, list, 1, func(done, total int) {
		if total != len(list) {
			t.Errorf("progress of %d, want %d", total, len(list))
		}
		counts = append(counts, done)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(measured) != len(list) || len(counts) != len(list) || !slices.IsSorted(counts) {
		t.Fatalf("%d measurements and progress %v, want %d", len(measured), counts, len(list))
	}
	standard := DefaultTuning(ReferenceDevice)
	for i, m := range measured {
		if m.Problem != list[i] {
			t.Errorf("measurement %d is of %+v, want %+v", i, m.Problem, list[i])
		}
		if m.Graph <= 0 || m.Kernel <= 0 || m.Noise < 0 {
			t.Errorf("%+v: not measured both ways", m)
		}
		want := m.Kernel < m.Graph
		if m.Tie() {
			want = decides(&standard, m.Problem)
		}
		if got := decides(&tuning, m.Problem); got != want {
			t.Errorf("%+v: kernel %t, want %t", m, got, want)
		}
	}
}

func TestTuneCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancelAt := func(done, total int) {
		if done == 2 {
			cancel()
		}
	}
	_, measured, err := tune(ctx, Options{}, small(), 1, cancelAt)
	if !errors.Is(err, context.Canceled) || measured != nil {
		t.Errorf("%d measurements and error %v, want context.Canceled", len(measured), err)
	}
}

// TestTuneAllocationFails refuses each allocation of a measurement in turn.
func TestTuneAllocationFails(t *testing.T) {
	defer softmetal.Inject(softmetal.Faults{})
	live := bridge.LiveObjects()
	failures := 0
	for n := 1; ; n++ {
		softmetal.Inject(softmetal.Faults{Allocation: n})
		_, _, err := tune(context.Background(), Options{DType: tensor.F16}, small()[:1], 1, nil)
		if bridge.LiveObjects() != live {
			t.Fatalf("allocation %d: %d objects are alive, want %d (error %v)", n, bridge.LiveObjects(), live, err)
		}
		if err == nil {
			break
		}
		failures++
		if !errors.Is(err, tensor.ErrOutOfMemory) {
			t.Errorf("allocation %d fails with %v, want ErrOutOfMemory", n, err)
		}
	}
	if failures < 5 { // operands, their copies on the device, weight, bias, result
		t.Errorf("only %d allocations failed", failures)
	}
}

// TestTuningFile opens a backend with a stored table, with that of another device, and with none.
func TestTuningFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	used := func(o Options) (Tuning, string) {
		t.Helper()
		b, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		return b.tuning, DeviceName(b.info)
	}
	standard, device := used(Options{TuningFile: path})
	stored := Tuning{Products: []Rule{{MaxRows: 3, Kernel: true}}, SmallTile: 5}
	for _, c := range []struct {
		name, device string
		options      Options
		want         Tuning
	}{
		{"stored", device, Options{TuningFile: path}, stored},
		{"of another device", device + "x", Options{TuningFile: path}, standard},
		{"not asked for", device, Options{}, standard},
		{"replaced", device, Options{TuningFile: path, Tuning: &Tuning{}}, Tuning{}},
	} {
		if err := os.WriteFile(path, []byte(written(t, stored, c.device)), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := used(c.options); cmp.Diff(c.want, got) != "" {
			t.Errorf("%s: %s", c.name, cmp.Diff(c.want, got))
		}
	}
}
